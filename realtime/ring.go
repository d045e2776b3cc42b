package realtime

import (
	"slices"
	"sort"
	"sync/atomic"

	"tandem/chat"
)

// entry is an event in the ring, durable or ephemeral.
type entry struct {
	seq    uint64 // its place in the ring's order, which is the hub's own, not the log's
	id     int64  // 0 for an ephemeral event
	at     int64  // the log's position when it arrived; a durable event's id
	except int64  // the user who does not receive it; 0 for none
	only   int64  // if not 0, only this user's streams that follow all their rooms receive it
	typ    string
	json   []byte
	size   int
	topics []*topic
	wire   [formats]atomic.Pointer[[]byte]
}

// frame returns the entry as f sends it, built once for all streams of that format.
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
	p.Store(&b) // another stream may do the same; the bytes are equal
	return b
}

// excludes reports whether an ephemeral e is not sent to s.
func (e *entry) excludes(s *Stream) bool {
	return e.except != 0 && e.except == s.viewer.User || e.only != 0 && (e.only != s.viewer.User || !s.all)
}

// topic is the hub's state of one topic.
type topic struct {
	key     chat.Topic
	entries []*entry  // its entries in the ring, in order
	subs    []*Stream // streams that follow it without an end
	dirty   bool      // whether it is in Hub.dirty
	presence
}

// tail returns at most most of t's entries after seq, and whether there are more.
func (t *topic) tail(seq uint64, most int) ([]*entry, bool) {
	n := len(t.entries)
	if n == 0 || t.entries[n-1].seq <= seq {
		return nil, false
	}
	from := n - 1
	if from > 0 && t.entries[from-1].seq > seq { // usually only the last one is new
		from = sort.Search(n, func(i int) bool { return t.entries[i].seq > seq })
	}
	if n-from > most {
		return t.entries[from : from+most], true
	}
	return t.entries[from:], false
}

// ring holds recent events in memory, bounded by bytes and shared by all streams. Guarded by Hub.mu.
type ring struct {
	entries []*entry
	bytes   int
	limit   int
	seq     uint64 // of the latest entry
	evicted uint64 // entries up to it have been dropped
	floor   int64  // it has all events with ids above it
}

// entryOverhead is the approximate cost of an entry besides its bytes, which it holds once as JSON and once for each of
// the two common formats.
const entryOverhead = 300

func (r *ring) push(e *entry) {
	r.seq++
	e.seq = r.seq
	e.size = entryOverhead + 3*len(e.json)
	r.bytes += e.size
	r.entries = append(r.entries, e)
	for _, t := range e.topics {
		t.entries = append(t.entries, e)
	}
}

// evict drops the oldest entries until the ring fits, and calls emptied for topics that have none left.
func (r *ring) evict(emptied func(*topic)) {
	for r.bytes > r.limit && len(r.entries) > 0 {
		r.drop(emptied)
	}
}

// forget drops everything at or before the log's position id.
func (r *ring) forget(id int64, emptied func(*topic)) {
	for len(r.entries) > 0 && r.entries[0].at <= id {
		r.drop(emptied)
	}
}

// drop drops the oldest entry.
func (r *ring) drop(emptied func(*topic)) {
	e := r.entries[0]
	r.entries[0], r.entries = nil, r.entries[1:]
	r.bytes -= e.size
	r.evicted = e.seq
	r.floor = max(r.floor, e.at)
	for _, t := range e.topics {
		// Topics hold their entries in the ring's order, so the oldest is the first.
		t.entries[0], t.entries = nil, t.entries[1:]
		if len(t.entries) == 0 {
			t.entries = nil
			emptied(t)
		}
	}
}

// seqAt returns the ring's seq of the log's position pos, which is not below the floor.
func (r *ring) seqAt(pos int64) uint64 {
	i := sort.Search(len(r.entries), func(i int) bool { return r.entries[i].at > pos })
	return r.evicted + uint64(i)
}

// merge merges the entries of several topics in order, without duplicates.
func merge(entries []*entry) []*entry {
	slices.SortFunc(entries, func(a, b *entry) int {
		if a.seq < b.seq {
			return -1
		}
		return int(a.seq - b.seq) // equal: the same entry, in two topics
	})
	return slices.Compact(entries)
}
