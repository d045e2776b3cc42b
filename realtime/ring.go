package realtime

import (
	"slices"
	"sort"
	"sync/atomic"

	"tandem/chat"
)

// entry is an event in the ring, durable or ephemeral.
type entry struct {
	seq    uint64 // its place in the ring's order; the hub's own, not the log's
	id     int64  // 0 for an ephemeral one
	at     int64  // the log position when it came; a durable one's id
	except int64  // the user who is not told; 0 for none
	only   int64  // the user whose streams of all their rooms alone are told; 0 for everybody
	typ    string
	json   []byte
	size   int
	topics [2]*topic
	wire   [formats]atomic.Pointer[[]byte]
}

// frame is the entry as f sends it, made once for all streams of that format.
func (e *entry) frame(f Framer, log string) []byte {
	p := &e.wire[f.Format()]
	if b := p.Load(); b != nil {
		return *b
	}
	var cursor chat.Cursor
	if e.id != 0 {
		cursor = chat.Cursor{ID: e.id, Log: log}
	}
	b := f.Frame(nil, e.typ, cursor, e.json)
	p.Store(&b) // another stream may be doing the same; the bytes are the same
	return b
}

// spares tells whether s is not to be told of an ephemeral e.
func (e *entry) spares(s *Stream) bool {
	return e.except != 0 && e.except == s.viewer.User || e.only != 0 && (e.only != s.viewer.User || !s.all)
}

// topic is what the hub knows of one topic.
type topic struct {
	key     chat.Topic
	entries []*entry  // those of the ring that belong to it, in order
	subs    []*Stream // whose follow of it has no end
	dirty   bool      // it is among Hub.dirty
	presence
}

// tail returns t's entries behind seq, the first most of them, and whether there are more.
func (t *topic) tail(seq uint64, most int) ([]*entry, bool) {
	n := len(t.entries)
	if n == 0 || t.entries[n-1].seq <= seq {
		return nil, false
	}
	from := n - 1
	if from > 0 && t.entries[from-1].seq > seq { // most often only the last one is new
		from = sort.Search(n, func(i int) bool { return t.entries[i].seq > seq })
	}
	if n-from > most {
		return t.entries[from : from+most], true
	}
	return t.entries[from:], false
}

// ring is the memory of recent events, bounded by bytes and shared by all streams. Guarded by Hub.mu.
type ring struct {
	entries []*entry
	bytes   int
	limit   int
	seq     uint64 // of the latest entry
	evicted uint64 // entries up to it are gone
	floor   int64  // events with ids above it are all here
}

// entryOverhead is about what an entry costs beside its bytes, which it holds once as JSON and once for
// each of the two usual formats.
const entryOverhead = 300

func (r *ring) push(e *entry) {
	r.seq++
	e.seq = r.seq
	e.size = entryOverhead + 3*len(e.json)
	r.bytes += e.size
	r.entries = append(r.entries, e)
	for _, t := range e.topics {
		if t != nil {
			t.entries = append(t.entries, e)
		}
	}
}

// evict drops the oldest entries until the ring fits, and calls emptied for topics that have none left.
func (r *ring) evict(emptied func(*topic)) {
	for r.bytes > r.limit && len(r.entries) > 0 {
		e := r.entries[0]
		r.entries[0], r.entries = nil, r.entries[1:]
		r.bytes -= e.size
		r.evicted = e.seq
		r.floor = max(r.floor, e.at)
		for _, t := range e.topics {
			if t == nil {
				continue
			}
			// Topics hold their entries in the ring's order, so the oldest is the first.
			t.entries[0], t.entries = nil, t.entries[1:]
			if len(t.entries) == 0 {
				t.entries = nil
				emptied(t)
			}
		}
	}
}

// seqAt is the place in the ring of the log position pos, which is not below the floor.
func (r *ring) seqAt(pos int64) uint64 {
	i := sort.Search(len(r.entries), func(i int) bool { return r.entries[i].at > pos })
	return r.evicted + uint64(i)
}

// merge puts the entries of several topics in order, each once.
func merge(entries []*entry) []*entry {
	slices.SortFunc(entries, func(a, b *entry) int {
		if a.seq < b.seq {
			return -1
		}
		return int(a.seq - b.seq) // equal: the same entry, in two topics
	})
	return slices.Compact(entries)
}
