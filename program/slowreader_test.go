package program

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A stalled reader delays nobody. While it lives it may stay, and then has everything in order; one that has vanished
// is gone within 60 s, which is seen 3 s later, when it leaves the room.
func TestStalledReaderDelaysNobodyAndVanishedOneIsGone(t *testing.T) {
	slow(t, "a vanished reader has up to 60 s")
	p := startProgram(t)
	ada, bob, carol := p.signup(t, "ada"), p.signup(t, "bob"), p.signup(t, "carol")
	ada.enter("lobby")
	living, vanished := p.stalledReader(t, bob, "lobby"), p.stalledReader(t, carol, "lobby")
	var live []*stream
	for _, over := range pushing {
		s := ada.open(over, "room=lobby")
		if s.opening(); s.lists["lobby"].Count != 3 {
			t.Fatalf("they are not there: %s", s.lists["lobby"].raw)
		}
		live = append(live, s)
	}
	var want []int64
	ada.fillBuffers("lobby")
	for i, s := range live {
		if got := ids(s.untilMessage("the last of many")); i == 0 {
			want = got
		}
	}
	vanished.vanish(t)
	for deadline, left := time.Now().Add(65*time.Second), false; !left; {
		e, err := live[0].next(time.Until(deadline))
		if err != nil {
			t.Fatalf("waiting for the vanished reader to be given up: %v", err)
		}
		if e.Type == "user_leave" && e.User == "bob" {
			t.Error("the living reader was given up")
		}
		left = e.Type == "user_leave" && e.User == "carol"
	}
	<-time.After(40 * time.Second) // more than data may go unacknowledged
	want = append(want, ada.post("lobby", "past its time").ID)
	_ = living.SetReadDeadline(time.Now().Add(patience))
	next := sseEvents(io.MultiReader(strings.NewReader("retry: 1000\n"), living.reader))
	var got []int64
	for len(got) < len(want) {
		e, err := next()
		if err != nil {
			t.Fatalf("the living reader got %d of %d: %v", len(got), len(want), err)
		}
		if e.ID != 0 {
			got = append(got, e.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the living reader got %s", difference(got, want))
	}
}

// stalledReader opens a stream over SSE from which nobody reads.
func (s *testServer) stalledReader(t *testing.T, c *client, room string) *socket {
	t.Helper()
	stalled := s.socket(t)
	if err := stalled.Conn.(*net.TCPConn).SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
	stalled.send("", fmt.Sprintf("GET /v1/events?room=%s HTTP/1.1", room), "Host: x", c.bearer(), "Accept: text/event-stream", "")
	if line, err := stalled.reader.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("the stream was answered %q, %v", line, err)
	}
	return stalled
}

// fillBuffers posts more than the sockets between server and reader hold: some 6 MB.
func (c *client) fillBuffers(room string) {
	c.t.Helper()
	text := strings.Repeat("😀", 4000)
	inParallel(8, func(int) {
		for range 50 {
			if _, err := c.tryPost(room, text); err != nil {
				c.t.Error(err)
				return
			}
		}
	})
	c.post(room, "the last of many")
}

// A reader that falls far behind loses nothing: it reads on where it was, in order, and knows in the end who is
// there, though people came and went meanwhile. With a small ring it has to read the log.
func TestSlowReaderCatchesUpWithoutGap(t *testing.T) {
	for _, ring := range []int{Defaults().RingBytes, 100_000} {
		t.Run(fmt.Sprint("ring of ", ring), func(t *testing.T) {
			t.Parallel()
			p := startProgram(t, func(cfg *Settings) { cfg.RingBytes = ring })
			ada, bob, carol := p.signup(t, "ada"), p.signup(t, "bob"), p.signup(t, "carol")
			for _, over := range []transport{overSSE, overWS, overNDJSON, overH2} { // each waits for a grace
				t.Run(string(over), func(t *testing.T) { testSlowReader(t, over, ada.in(t), bob.in(t), carol.in(t)) })
			}
		})
	}
}

func testSlowReader(t *testing.T, over transport, ada, bob, carol *client) {
	rooms := []string{"r0-" + string(over), "r1-" + string(over), "r2-" + string(over)}
	for _, name := range rooms {
		ada.enter(name)
	}
	query := url.Values{"room": rooms}.Encode()
	leaves := carol.open(over, query)
	leaves.opening()
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open) // a failed test too has to end
	s, refusal, err := ada.dial(over, how{query: query, gate: gate})
	if err != nil || refusal != nil {
		t.Fatal(err, refusal)
	}
	s.opening()
	live := ada.open(over, query)
	live.opening()
	// The rooms alternate, so that what waits cannot be one run of one room.
	text := strings.Repeat("x", 4000)
	inParallel(4, func(i int) {
		for n := range 100 {
			if _, err := ada.tryPost(rooms[(i+n)%3], text); err != nil {
				t.Error(err)
				return
			}
		}
	})
	leaves.close()
	comes := bob.open(over, "room="+rooms[1])
	comes.opening()
	seen := live.untilLeft("carol")
	ada.post(rooms[1], "the end")
	want := ids(append(seen, live.untilMessage("the end")...))
	if len(want) != 401 {
		t.Errorf("the live reader got %d events", len(want))
	}
	open()
	all := s.untilMessage("the end")
	if got := ids(all); !slices.Equal(got, want) {
		t.Errorf("the slow reader got %s", difference(got, want))
	}
	ada.post(rooms[1], "live again")
	all = append(all, s.untilMessage("live again")...)
	for i, name := range rooms {
		there := []string{"ada"}
		if i == 1 {
			there = []string{"ada", "bob"}
		}
		if known := whoIsThere(s.lists[name].Users, name, all); !slices.Equal(known, there) {
			t.Errorf("the slow reader thinks that %v are in %s, not %v", known, name, there)
		}
	}
}

// whoIsThere is what a client knows that began with a list and heard these events.
func whoIsThere(list []string, room string, events []event) []string {
	there := map[string]bool{}
	for _, user := range list {
		there[user] = true
	}
	for _, e := range events {
		switch {
		case e.Room != room:
		case e.Type == "user_list":
			clear(there)
			for _, user := range e.Users {
				there[user] = true
			}
		case e.Type == "user_join":
			there[e.User] = true
		case e.Type == "user_leave":
			delete(there, e.User)
		}
	}
	return slices.Sorted(maps.Keys(there))
}
