package suite

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// Comparison is one user who reads the same events on every transport at once. What most transports deliver is taken as
// right; a transport with other bytes fails.
type Comparison struct {
	// Rewritten is set if replayed events may differ from live ones because a text was deleted meanwhile.
	Rewritten bool

	t        *T
	user     *User
	query    string
	live     map[string]*Stream
	awaited  map[string][]Event // live events that Await has read
	start    string
	answered map[int64]string // events as in the responses to calls

	mu       sync.Mutex
	readings []reading
}

// reading is what one stream delivered.
type reading struct {
	column string
	live   bool
	events map[int64]string
}

// Compare opens a stream over each transport.
func (t *T) Compare(u *User, query string) *Comparison {
	c := &Comparison{t: t, user: u, query: query, live: map[string]*Stream{}, awaited: map[string][]Event{}, answered: map[int64]string{}}
	t.Each(func(t *T) {
		s := t.Open(u, query)
		open := s.Opening()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.live[t.column] = s
		c.start = open.Since // any event: what matters comes after all have opened
	})
	return c
}

// Answered records an event from the response to a call, and returns it.
func (c *Comparison) Answered(e Event) Event {
	c.answered[e.ID] = e.Raw
	return e
}

// Await reads all streams up to an event that fits, before a later call changes what it says.
func (c *Comparison) Await(what string, fits func(Event) bool) {
	c.t.Each(func(t *T) {
		live := c.live[t.column]
		if live == nil {
			return
		}
		events := slices.DeleteFunc(live.Until(what, fits), func(e Event) bool { return e.ID == 0 })
		c.mu.Lock()
		defer c.mu.Unlock()
		c.awaited[t.column] = append(c.awaited[t.column], events...)
	})
}

// Check reads all streams up to an event, then the same again as a replay, and compares them. The events in between,
// including the last, must have these types.
func (c *Comparison) Check(upto Event, types ...string) {
	c.t.Each(func(t *T) {
		live := c.live[t.column]
		if live == nil {
			return // it has failed already
		}
		c.read(t.column, true, append(c.awaited[t.column], live.Durables(upto.ID)...))
		replay := t.Open(c.user, resumeQuery(c.query, c.start))
		replay.Opening()
		c.read(t.column, false, replay.Durables(upto.ID))
		replay.Close()
	})
	if c.Rewritten {
		c.vote(true, types)
		c.vote(false, types)
		return
	}
	c.vote(true, types, false)
}

func (c *Comparison) read(column string, live bool, events []Event) {
	r := reading{column, live, map[int64]string{}}
	for _, e := range events {
		r.events[e.ID] = e.Raw
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readings = append(c.readings, r)
}

// vote compares the readings that were live, that were replayed, or both.
func (c *Comparison) vote(live bool, types []string, also ...bool) {
	var readings []reading
	ids := map[int64]bool{}
	for _, r := range c.readings {
		if r.live == live || slices.Contains(also, r.live) {
			readings = append(readings, r)
			for id := range r.events {
				ids[id] = true
			}
		}
	}
	var got []string
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		votes := map[string]int{}
		if answered, ok := c.answered[id]; ok && (!c.Rewritten || live) {
			votes[answered]++
		}
		for _, r := range readings {
			votes[r.events[id]]++
		}
		best := mostVoted(votes)
		for _, r := range readings {
			if r.events[id] != best {
				c.deviates(r, id, best)
			}
		}
		if answered, ok := c.answered[id]; ok && answered != best && (!c.Rewritten || live) {
			c.t.Errorf("the response has\n  %s\nthe streams have\n  %s", clip(answered), clip(best))
		}
		if e, err := parseEvent([]byte(best)); err == nil {
			got = append(got, e.Type)
		}
	}
	if !slices.Equal(got, types) {
		c.t.Errorf("streams got %v, want %v", got, types)
	}
}

func (c *Comparison) deviates(r reading, id int64, best string) {
	how := "by replay"
	if r.live {
		how = "live"
	}
	one := *c.t
	one.column = r.column
	switch {
	case r.events[id] == "":
		one.Errorf("%s: missing an event that the others have:\n  %s", how, clip(best))
	case best == "":
		one.Errorf("%s: has an event that the others lack:\n  %s", how, clip(r.events[id]))
	default:
		one.Errorf("%s: event %d =\n  %s\nthe others have\n  %s\n%s", how, id, clip(r.events[id]), clip(best), firstDifference(r.events[id], best))
	}
}

func firstDifference(a, b string) string {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	return fmt.Sprintf("first difference at byte %d: %q, %q", at, a[at:min(len(a), at+16)], b[at:min(len(b), at+16)])
}

// Ephemeral calls cause and compares the bytes of the ephemeral events that fit, which every stream must get. They are not
// kept between two polls, so for a poll cause is called again. mark posts what completes the poll.
func (c *Comparison) Ephemeral(what string, cause func(), mark func() Event, is func(Event) bool) {
	missing := map[string]Transport{}
	for _, tr := range c.t.over {
		missing[tr.Name] = tr
	}
	fits := func(e Event) bool { return e.ID == 0 && is(e) }
	var read map[string][]Event
	for deadline := time.Now().Add(c.t.Patience); len(missing) > 0; {
		time.Sleep(100 * time.Millisecond) // polls are likely to be waiting by then; otherwise there is another attempt
		cause()
		if read == nil {
			read = c.await(what, fits)
		}
		for column, raw := range c.ephemeral(what, read, mark(), fits) {
			if raw != "" {
				delete(missing, column)
			}
		}
		clear(read)
		late := time.Now().After(deadline)
		for column, tr := range missing {
			if tr.Wire != Poll || late || c.live[column] == nil {
				c.t.on(tr).Errorf("%s was not delivered", what)
				delete(missing, column)
			}
		}
	}
}

// await reads the streams other than polls until they have what fits, which is not ordered with posts: on a busy server a
// mark may overtake it. It returns what they have read by column.
func (c *Comparison) await(what string, fits func(Event) bool) map[string][]Event {
	read := map[string][]Event{}
	var mu sync.Mutex
	c.t.Each(func(t *T) {
		s := c.live[t.column]
		if s == nil || s.Over.Wire == Poll {
			return
		}
		events := s.Until(what, fits)
		mu.Lock()
		defer mu.Unlock()
		read[t.column] = events
	})
	if len(read) == 0 { // only polls
		time.Sleep(500 * time.Millisecond)
	}
	return read
}

// ephemeral reads all streams up to an event, and returns the bytes of what fits by column; read is what was read before.
func (c *Comparison) ephemeral(what string, read map[string][]Event, upto Event, fits func(Event) bool) map[string]string {
	seen := map[string]string{}
	var mu sync.Mutex
	c.t.Each(func(t *T) {
		s := c.live[t.column]
		if s == nil {
			return
		}
		for _, e := range append(read[t.column], s.Until("the mark", func(e Event) bool { return e.ID >= upto.ID })...) {
			if fits(e) {
				mu.Lock()
				if seen[t.column] != "" {
					t.Errorf("%s delivered twice: %s", what, e.Raw)
				}
				seen[t.column] = e.Raw
				mu.Unlock()
			}
		}
	})
	votes := map[string]int{}
	for _, raw := range seen {
		votes[raw]++
	}
	for column, raw := range seen {
		if best := mostVoted(votes); raw != best {
			one := *c.t
			one.column = column
			one.Errorf("event =\n  %s\nthe others have\n  %s", clip(raw), clip(best))
		}
	}
	return seen
}

func mostVoted(votes map[string]int) string {
	return slices.MaxFunc(slices.Sorted(maps.Keys(votes)), func(a, b string) int { return votes[a] - votes[b] })
}
