package streams

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	"tandem/e2e/harness"
)

// follower is a client in the resume test: it follows some rooms through many connections.
type follower struct {
	*harness.Client
	name   string
	random *rand.Rand
	rooms  []string
	ends   chan map[string]int64

	connections int
	start       int64  // the cursor that it started from
	cursor      string // "" before the first stream_open
	seen        []int64
	path        []string // a trace, for failures
}

func newFollower(c *harness.Client, i int, random *rand.Rand, rooms []string) *follower {
	some := slices.Clone(rooms)
	random.Shuffle(len(some), func(a, b int) { some[a], some[b] = some[b], some[a] })
	return &follower{
		Client: c, name: fmt.Sprint("follower ", i), random: random,
		rooms: some[:1+random.IntN(len(some))], ends: make(chan map[string]int64, 1),
	}
}

// follow reconnects until it has seen the end of all its rooms.
func (f *follower) follow(posted <-chan struct{}) {
	var deadline time.Time
	for failures := 0; ; {
		whole := false
		select {
		case <-posted: // from here on connections are not cut, and the rest must arrive
			whole = true
			if deadline.IsZero() {
				deadline = time.Now().Add(harness.Patience)
			}
			if time.Now().After(deadline) {
				f.T.Errorf("%s did not reach the end; last cursor %s\n%s", f.name, f.cursor, f.path)
				return
			}
		default:
		}
		s, refusal, err := f.connect(whole)
		if err != nil { // cut during the handshake
			if failures++; whole && failures > 100 {
				f.T.Errorf("%s cannot connect: %v", f.name, err)
				return
			}
			continue
		}
		if refusal != nil {
			f.T.Errorf("%s was refused: %d %s, want none", f.name, refusal.Status, refusal.Body)
			return
		}
		done := f.read(s)
		s.Close()
		if done {
			return
		}
	}
}

func (f *follower) connect(whole bool) (*harness.Stream, *harness.Answer, error) {
	query := url.Values{"room": f.rooms}
	var h harness.Dialing
	if f.cursor != "" {
		cursor := f.cursor
		if f.random.IntN(3) == 0 { // the log's name is optional
			at, err := harness.PositionOf(cursor)
			if err != nil {
				return nil, nil, err
			}
			cursor = fmt.Sprint(at)
		}
		switch f.random.IntN(4) {
		case 0:
			query.Set("lastEventId", cursor)
		case 1: // as an EventSource opened with a cursor does: the header wins
			query.Set("since", "0")
			h.Headers = []string{"Last-Event-ID: " + cursor}
		default:
			query.Set("since", cursor)
		}
	} else if f.random.IntN(2) == 0 {
		query.Set("since", "0")
	}
	h.Query = query.Encode()
	if !whole {
		// Opening a stream takes a few hundred bytes; some cuts fall into the response header.
		h.CutAfter = 100 + int64(f.random.IntN(1+f.random.IntN(12_000)))
	}
	over := harness.Transports[f.random.IntN(len(harness.Transports))]
	f.connections++
	f.path = append(f.path, fmt.Sprintf("%s from %q for %d bytes", over, f.cursor, h.CutAfter))
	return f.Dial(over, h)
}

// read reads one connection, and reports whether it brought the last event of every room.
func (f *follower) read(s *harness.Stream) bool {
	for idle := 0; ; {
		if f.atTheEnd() {
			return true
		}
		e, err := s.Next(50 * time.Millisecond)
		if errors.Is(err, harness.ErrPatience) {
			if idle += 50; idle > int(harness.Patience.Milliseconds()) {
				return false
			}
			continue // to check whether the end was announced meanwhile
		}
		idle = 0
		if err != nil {
			return false
		}
		switch {
		case e.Type == "stream_open":
			if f.cursor == "" {
				f.start = e.Position(f.T)
			} else if !e.Resumed {
				f.T.Errorf("%s: the cursor %s was not accepted: %s", f.name, f.cursor, e.Raw)
			}
			f.cursor = e.Since
		case e.Type == "ping":
			f.cursor = e.Since
		case e.Type == "stream_reset":
			f.T.Errorf("%s: the cursor %s was reset: %s", f.name, f.cursor, e.Raw)
		case e.ID != 0:
			f.seen = append(f.seen, e.ID)
			f.cursor = fmt.Sprintf("%d.%s", e.ID, s.Open.Log)
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

// compare checks what a follower saw against the log.
func (f *follower) compare(truth []harness.Event) {
	var want []int64
	for _, e := range truth {
		mine := slices.Contains(f.rooms, e.Room) || e.Target == f.User.Username // through the inbox
		if e.ID > f.start && mine {
			want = append(want, e.ID)
		}
	}
	if !slices.Equal(f.seen, want) {
		f.T.Errorf("%s of %v, from %d on, in %d connections: %s\n%s", f.name, f.rooms, f.start, f.connections, harness.Difference(f.seen, want), f.path)
	}
}
