package cluster

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
	"tandem/testservers"
)

// Nodes are restarted repeatedly. As soon as one accepts streams, its user lists are complete. When a stream on the
// first node sees the second node's user typing, earlier joins have arrived too.
func TestListsOfNewNodesAreComplete(t *testing.T) {
	t.Parallel()
	database, valkey := harness.EmptyDatabase(t), testservers.NewValkey(t)
	shared := func(cfg *program.Settings) {
		cfg.DatabaseURL, cfg.ValkeyURL, cfg.JWTSecret = database, valkey.URL(), harness.Secret
	}
	people := harness.StartProgram(t, shared)
	ada, bob, cyd := people.Signup(t, "ada"), people.Signup(t, "bob"), people.Signup(t, "cyd")
	ada.Enter("lobby")
	people.Stop(t)
	for run := range 20 {
		var nodes [2]*harness.Program
		harness.InParallel(2, func(i int) { nodes[i] = harness.StartProgram(t, shared) })
		here, there := nodes[run%2].Server, nodes[1-run%2].Server
		var watch, far *harness.Stream
		harness.InParallel(2, func(i int) {
			if i == 0 {
				watch = cyd.On(here).Open(harness.OverSSE, "room=lobby")
			} else {
				far = ada.On(there).Open(harness.OverWS, "room=lobby")
			}
		})
		typed := make(chan struct{})
		go func() {
			defer close(typed)
			watch.Until(func(e harness.Event) bool { return e.Type == "user_typing" && e.User == "ada" })
		}()
		for waiting := true; waiting; {
			ada.On(there).Do("POST", harness.RoomPath("lobby")+"/typing", nil).Want(204)
			select {
			case <-typed:
				waiting = false
			case <-time.After(time.Second): // typing is announced once in 3 s
			}
		}
		s := bob.On(here).Open(harness.OverSSE, "room=lobby")
		s.Opening()
		if got := harness.Sorted(s.Lists["lobby"].Users); !slices.Equal(got, []string{"ada", "bob", "cyd"}) {
			t.Errorf("run %d: users: got %v, want [ada bob cyd]", run, got)
		}
		far.Opening()
		for _, s := range []*harness.Stream{s, watch, far} {
			s.Close()
		}
		harness.InParallel(2, func(i int) { nodes[i].Stop(t) })
	}
}

// During a rolling restart two nodes are replaced in turn while users reconnect to whichever is ready. No user list
// from a ready node may lack anybody.
func TestRollingRestartShowsCompleteLists(t *testing.T) {
	// Not parallel: a node waits at most 2 s for the lists of the others.
	database, valkey := harness.EmptyDatabase(t), testservers.NewValkey(t)
	var ready [2]atomic.Pointer[harness.Program] // as a load balancer sees them
	start := func(i int) {
		p := harness.StartProgram(t, func(cfg *program.Settings) {
			cfg.DatabaseURL, cfg.ValkeyURL, cfg.JWTSecret = database, valkey.URL(), harness.Secret
		})
		harness.Eventually(t, "a node is ready", func() bool {
			a, err := p.Visitor(t).Try("GET", "/readyz", nil)
			return err == nil && a.Status == 200
		})
		ready[i].Store(p)
	}
	start(0)
	names := []string{"ada", "bob", "cyd", "dan"}
	var people []*harness.Client
	for _, name := range names {
		people = append(people, ready[0].Load().Signup(t, name))
	}
	watcher := ready[0].Load().Signup(t, "watcher")
	people[0].Enter("lobby")
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
				s, refusal, err := user.On(p.Server).Dial(harness.OverSSE, harness.Dialing{Query: "room=lobby"})
				if err != nil || refusal != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				for {
					e, err := s.Next(50 * time.Millisecond)
					if e.Type == "user_list" {
						once()
					}
					if err != nil && err != harness.ErrPatience || over.Load() {
						break
					}
				}
				s.Close()
			}
		})
	}
	connected.Wait()
	everybody := append(slices.Clone(names), "watcher")
	listOf := func(p *harness.Program) ([]string, error) {
		a, err := watcher.On(p.Server).Try("GET", "/v1/events?format=json&wait=0&room=lobby", nil)
		if err != nil || a.Status != 200 {
			return nil, fmt.Errorf("%d %w", a.Status, err)
		}
		got, err := harness.ParsePoll(a.Body)
		if err != nil {
			return nil, err
		}
		return harness.Sorted(got.Events[1].Users), nil
	}
	for i := range ready {
		harness.Eventually(t, "each node lists everybody at the start", func() bool {
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
							t.Errorf("users on node %d: got %v, want %v", i, got, everybody)
						}
					}
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for range 3 {
		for i := range ready {
			time.Sleep(300 * time.Millisecond) // let the users reconnect
			old := ready[i].Swap(nil)
			old.Stop(t)
			start(i)
		}
	}
	stop()
	t.Logf("checked %v lists", lists)
}
