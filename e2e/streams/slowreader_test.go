package streams

import (
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

// A stalled reader delays nobody. A live one may stay, and gets everything in order later. One that has vanished is
// dropped within 60 s, and leaves the room 3 s after that.
func TestStalledReaderDelaysNobodyAndVanishedOneIsDropped(t *testing.T) {
	harness.Slow(t, "a vanished reader has up to 60 s")
	p := harness.StartProgram(t)
	ada, bob, carol := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "carol")
	ada.Enter("lobby")
	living, vanished := p.StalledReader(t, bob, "lobby"), p.StalledReader(t, carol, "lobby")
	var live []*harness.Stream
	for _, over := range harness.Pushing {
		s := ada.Open(over, "room=lobby")
		if s.Opening(); s.Lists["lobby"].Count != 3 {
			t.Fatalf("user list = %s, want 3 users", s.Lists["lobby"].Raw)
		}
		live = append(live, s)
	}
	var want []int64
	ada.FillBuffers("lobby")
	for i, s := range live {
		if got := harness.IDs(s.UntilMessage("the last of many")); i == 0 {
			want = got
		}
	}
	vanished.Vanish(t)
	for deadline, left := time.Now().Add(harness.Within(65*time.Second)), false; !left; {
		e, err := live[0].Next(time.Until(deadline))
		if err != nil {
			t.Fatalf("waiting for the vanished reader to be given up: %v", err)
		}
		if e.Type == "user_leave" && e.User == "bob" {
			t.Error("the live reader was disconnected")
		}
		left = e.Type == "user_leave" && e.User == "carol"
	}
	<-time.After(40 * time.Second) // more than data may be unacknowledged
	want = append(want, ada.Post("lobby", "past its time").ID)
	_ = living.SetReadDeadline(time.Now().Add(harness.Patience))
	next := harness.SSEEvents(io.MultiReader(strings.NewReader("retry: 1000\n"), living.Reader))
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
		t.Errorf("the live reader got %s", harness.Difference(got, want))
	}
}

// A reader that falls far behind loses nothing: it continues in order, and ends with the right list of users, though
// users joined and left meanwhile. With a small ring it must read from the log.
func TestSlowReaderCatchesUpWithoutGap(t *testing.T) {
	for _, ring := range []int{harness.Defaults().RingBytes, 100_000} {
		t.Run(fmt.Sprint("ring of ", ring), func(t *testing.T) {
			t.Parallel()
			p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.RingBytes = ring })
			ada, bob, carol := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "carol")
			for _, over := range []harness.Transport{harness.OverSSE, harness.OverWS, harness.OverNDJSON, harness.OverH2} { // each waits for a grace period
				t.Run(string(over), func(t *testing.T) { testSlowReader(t, over, ada.In(t), bob.In(t), carol.In(t)) })
			}
		})
	}
}

func testSlowReader(t *testing.T, over harness.Transport, ada, bob, carol *harness.Client) {
	rooms := []string{"r0-" + string(over), "r1-" + string(over), "r2-" + string(over)}
	for _, name := range rooms {
		ada.Enter(name)
	}
	query := url.Values{"room": rooms}.Encode()
	leaves := carol.Open(over, query)
	leaves.Opening()
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open) // must end even if the test fails
	s, refusal, err := ada.Dial(over, harness.Dialing{Query: query, Gate: gate})
	if err != nil || refusal != nil {
		t.Fatal(err, refusal)
	}
	s.Opening()
	live := ada.Open(over, query)
	live.Opening()
	// The rooms alternate, so that the backlog is not a single run of one room's events.
	text := strings.Repeat("x", 4000)
	harness.InParallel(4, func(i int) {
		for n := range 100 {
			if _, err := ada.TryPost(rooms[(i+n)%3], text); err != nil {
				t.Error(err)
				return
			}
		}
	})
	leaves.Close()
	comes := bob.Open(over, "room="+rooms[1])
	comes.Opening()
	seen := live.UntilLeft("carol")
	ada.Post(rooms[1], "the end")
	want := harness.IDs(append(seen, live.UntilMessage("the end")...))
	if len(want) != 401 {
		t.Errorf("the live reader got %d events", len(want))
	}
	open()
	all := s.UntilMessage("the end")
	if got := harness.IDs(all); !slices.Equal(got, want) {
		t.Errorf("the slow reader got %s", harness.Difference(got, want))
	}
	ada.Post(rooms[1], "live again")
	all = append(all, s.UntilMessage("live again")...)
	for i, name := range rooms {
		there := []string{"ada"}
		if i == 1 {
			there = []string{"ada", "bob"}
		}
		if known := whoIsThere(s.Lists[name].Users, name, all); !slices.Equal(known, there) {
			t.Errorf("the slow reader believes that %v are in %s, want %v", known, name, there)
		}
	}
}

// whoIsThere returns the users that a client knows from a list and the events after it.
func whoIsThere(list []string, room string, events []harness.Event) []string {
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
