package program

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"
)

// follower is one client of the resume test: it follows some rooms through many connections.
type follower struct {
	*client
	name   string
	random *rand.Rand
	rooms  []string
	ends   chan map[string]int64

	connections int
	start       int64  // the cursor that it began from
	cursor      string // "" before the first stream_open
	seen        []int64
	path        []string // how it went, for when the test fails
}

func newFollower(c *client, i int, random *rand.Rand, rooms []string) *follower {
	some := slices.Clone(rooms)
	random.Shuffle(len(some), func(a, b int) { some[a], some[b] = some[b], some[a] })
	return &follower{
		client: c, name: fmt.Sprint("follower ", i), random: random,
		rooms: some[:1+random.IntN(len(some))], ends: make(chan map[string]int64, 1),
	}
}

// follow connects again and again until all of its rooms have come to their end.
func (f *follower) follow(posted <-chan struct{}) {
	var deadline time.Time
	for failures := 0; ; {
		whole := false
		select {
		case <-posted: // from here on connections hold, and the rest must come
			whole = true
			if deadline.IsZero() {
				deadline = time.Now().Add(patience)
			}
			if time.Now().After(deadline) {
				f.t.Errorf("%s does not come to the end; it stands at %s\n%s", f.name, f.cursor, f.path)
				return
			}
		default:
		}
		s, refusal, err := f.connect(whole)
		if err != nil { // cut within the handshake
			if failures++; whole && failures > 100 {
				f.t.Errorf("%s cannot connect: %v", f.name, err)
				return
			}
			continue
		}
		if refusal != nil {
			f.t.Errorf("%s was refused: %d %s", f.name, refusal.status, refusal.body)
			return
		}
		done := f.read(s)
		s.close()
		if done {
			return
		}
	}
}

func (f *follower) connect(whole bool) (*stream, *answer, error) {
	query := url.Values{"room": f.rooms}
	var h how
	if f.cursor != "" {
		cursor := f.cursor
		if f.random.IntN(3) == 0 { // the log's name may be left out
			at, err := positionOf(cursor)
			if err != nil {
				return nil, nil, err
			}
			cursor = fmt.Sprint(at)
		}
		switch f.random.IntN(4) {
		case 0:
			query.Set("lastEventId", cursor)
		case 1: // what an EventSource does that was opened with a cursor: the header wins
			query.Set("since", "0")
			h.headers = []string{"Last-Event-ID: " + cursor}
		default:
			query.Set("since", cursor)
		}
	} else if f.random.IntN(2) == 0 {
		query.Set("since", "0")
	}
	h.query = query.Encode()
	if !whole {
		// An opening takes a few hundred bytes; some cuts fall into the answer's header.
		h.cutAfter = 100 + int64(f.random.IntN(1+f.random.IntN(12_000)))
	}
	over := transports[f.random.IntN(len(transports))]
	f.connections++
	f.path = append(f.path, fmt.Sprintf("%s from %q for %d bytes", over, f.cursor, h.cutAfter))
	return f.dial(over, h)
}

// read follows one connection, and says whether it brought the last event of every room.
func (f *follower) read(s *stream) bool {
	for idle := 0; ; {
		if f.atTheEnd() {
			return true
		}
		e, err := s.next(50 * time.Millisecond)
		if errors.Is(err, errPatience) {
			if idle += 50; idle > int(patience.Milliseconds()) {
				return false
			}
			continue // to look whether the end has been told meanwhile
		}
		idle = 0
		if err != nil {
			return false
		}
		switch {
		case e.Type == "stream_open":
			if f.cursor == "" {
				f.start = e.position(f.t)
			} else if !e.Resumed {
				f.t.Errorf("%s: the cursor %s was not honoured: %s", f.name, f.cursor, e.raw)
			}
			f.cursor = e.Since
		case e.Type == "ping":
			f.cursor = e.Since
		case e.Type == "stream_reset":
			f.t.Errorf("%s: the cursor %s was reset: %s", f.name, f.cursor, e.raw)
		case e.ID != 0:
			f.seen = append(f.seen, e.ID)
			f.cursor = fmt.Sprintf("%d.%s", e.ID, s.open.Log)
		}
	}
}

func (f *follower) atTheEnd() bool {
	select {
	case ends := <-f.ends:
		f.ends <- ends
		for _, name := range f.rooms {
			if !slices.Contains(f.seen, ends[name]) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// compare holds what a follower saw against the log.
func (f *follower) compare(truth []event) {
	var want []int64
	for _, e := range truth {
		mine := slices.Contains(f.rooms, e.Room) || e.Target == f.User.Username // by the inbox
		if e.ID > f.start && mine {
			want = append(want, e.ID)
		}
	}
	if !slices.Equal(f.seen, want) {
		f.t.Errorf("%s of %v, from %d on, in %d connections: %s\n%s", f.name, f.rooms, f.start, f.connections, difference(f.seen, want), f.path)
	}
}

// difference says what is missing, what is doubled and where the order is wrong.
func difference(got, want []int64) string {
	times := map[int64]int{}
	var missing, doubled, strange, disordered []int64
	for i, id := range got {
		if times[id]++; times[id] == 2 {
			doubled = append(doubled, id)
		}
		if i > 0 && id < got[i-1] {
			disordered = append(disordered, id)
		}
		if !slices.Contains(want, id) {
			strange = append(strange, id)
		}
	}
	for _, id := range want {
		if times[id] == 0 {
			missing = append(missing, id)
		}
	}
	return fmt.Sprintf("%d of %d: missing %v, doubled %v, out of order %v, not theirs %v", len(got), len(want), missing, doubled, disordered, strange)
}
