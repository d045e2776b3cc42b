package program

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem/testservers"
)

// Nodes that have just started, again and again: as soon as they take streams, no list lacks somebody who is there.
// That a stream at the first has heard the second's user type proves that word of who came there has arrived before.
func TestListsOfNodesThatHaveJustStartedLackNobody(t *testing.T) {
	t.Parallel()
	database, valkey := testservers.Database(t), testservers.NewValkey(t)
	shared := func(cfg *Settings) {
		cfg.DatabaseURL, cfg.ValkeyURL, cfg.JWTSecret = database, valkey.URL(), testSecret
	}
	people := startProgram(t, shared)
	ada, bob, cyd := people.signup(t, "ada"), people.signup(t, "bob"), people.signup(t, "cyd")
	ada.enter("lobby")
	people.stop(t)
	for run := range 20 {
		var nodes [2]*testProgram
		inParallel(2, func(i int) { nodes[i] = startProgram(t, shared) })
		here, there := nodes[run%2].testServer, nodes[1-run%2].testServer
		var watch, far *stream
		inParallel(2, func(i int) {
			if i == 0 {
				watch = cyd.on(here).open(overSSE, "room=lobby")
			} else {
				far = ada.on(there).open(overWS, "room=lobby")
			}
		})
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			watch.until(func(e event) bool { return e.Type == "user_typing" && e.User == "ada" })
		}()
		for waiting := true; waiting; {
			ada.on(there).do("POST", roomPath("lobby")+"/typing", nil).want(204)
			select {
			case <-heard:
				waiting = false
			case <-time.After(time.Second): // it is told once in 3 s
			}
		}
		s := bob.on(here).open(overSSE, "room=lobby")
		s.opening()
		if got := sorted(s.lists["lobby"].Users); !slices.Equal(got, []string{"ada", "bob", "cyd"}) {
			t.Errorf("run %d: the list is %v", run, got)
		}
		far.opening()
		for _, s := range []*stream{s, watch, far} {
			s.close()
		}
		inParallel(2, func(i int) { nodes[i].stop(t) })
	}
}

// A rolling restart under observation: two nodes are replaced in turn, people come back to whichever is ready, and in no
// list that a ready node gives is anybody missing.
func TestRollingRestartShowsNoListThatLacksSomebody(t *testing.T) {
	// Not beside the others: a node waits 2 s at most for those it has to hear of.
	database, valkey := testservers.Database(t), testservers.NewValkey(t)
	var ready [2]atomic.Pointer[testProgram] // as a load balancer knows them
	start := func(i int) {
		p := startProgram(t, func(cfg *Settings) {
			cfg.DatabaseURL, cfg.ValkeyURL, cfg.JWTSecret = database, valkey.URL(), testSecret
		})
		eventually(t, "a node is ready", func() bool {
			a, err := p.visitor(t).try("GET", "/readyz", nil)
			return err == nil && a.status == 200
		})
		ready[i].Store(p)
	}
	start(0)
	names := []string{"ada", "bob", "cyd", "dan"}
	var people []*client
	for _, name := range names {
		people = append(people, ready[0].Load().signup(t, name))
	}
	eye := ready[0].Load().signup(t, "eye")
	people[0].enter("lobby")
	start(1)

	var over atomic.Bool
	var running sync.WaitGroup
	stop := sync.OnceFunc(func() { over.Store(true); running.Wait() })
	defer stop()
	var connected sync.WaitGroup
	connected.Add(len(people))
	for i, user := range people {
		running.Go(func() {
			once := sync.OnceFunc(connected.Done)
			for n := i; !over.Load(); n++ {
				p := ready[n%2].Load()
				if p == nil {
					continue
				}
				s, refusal, err := user.on(p.testServer).dial(overSSE, how{query: "room=lobby"})
				if err != nil || refusal != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				for {
					e, err := s.next(50 * time.Millisecond)
					if e.Type == "user_list" {
						once()
					}
					if err != nil && err != errPatience || over.Load() {
						break
					}
				}
				s.close()
			}
		})
	}
	connected.Wait()
	everybody := append(slices.Clone(names), "eye")
	listOf := func(p *testProgram) ([]string, error) {
		a, err := eye.on(p.testServer).try("GET", "/v1/events?format=json&wait=0&room=lobby", nil)
		if err != nil || a.status != 200 {
			return nil, fmt.Errorf("%d %w", a.status, err)
		}
		got, err := parsePoll(a.body)
		if err != nil {
			return nil, err
		}
		return sorted(got.events[1].Users), nil
	}
	for i := range ready {
		eventually(t, "everybody is in each node's list at first", func() bool {
			got, err := listOf(ready[i].Load())
			return err == nil && slices.Equal(got, everybody)
		})
	}
	var lists [2]int
	for i := range ready {
		running.Go(func() {
			for !over.Load() {
				if p := ready[i].Load(); p != nil {
					if got, err := listOf(p); err == nil {
						lists[i]++
						if !slices.Equal(got, everybody) {
							t.Errorf("a list of node %d is %v", i, got)
						}
					}
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for range 3 {
		for i := range ready {
			time.Sleep(300 * time.Millisecond) // people are where they are
			old := ready[i].Swap(nil)
			old.stop(t)
			start(i)
		}
	}
	stop()
	t.Logf("%v lists looked at", lists)
}
