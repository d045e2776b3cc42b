package followers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tandem/activity"
	"tandem/chat"
)

// database is a log with leases in memory that counts its queries.
type database struct {
	mu                                 sync.Mutex
	events                             []chat.Event
	cursors                            map[string]Progress
	node                               map[string]string
	expires                            map[string]time.Time
	reads, looks, claims, renews, rows int
	saves                              int
}

func newDatabase(names ...string) *database {
	d := &database{cursors: make(map[string]Progress), node: make(map[string]string), expires: make(map[string]time.Time)}
	for _, name := range names {
		d.cursors[name] = Progress{Lease: Lease{Name: name, Epoch: 1}}
	}
	return d
}

func (d *database) asked() int { return d.reads + d.looks + d.claims + d.renews + d.saves }

func (d *database) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads, d.looks, d.claims, d.renews, d.rows, d.saves = 0, 0, 0, 0, 0, 0
}

func (d *database) Head(context.Context) (chat.LogState, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return chat.LogState{Name: "log", Floor: 1, Head: int64(len(d.events))}, nil
}

func (d *database) ReadAll(_ context.Context, after, upto int64, limit int) ([]chat.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	upto = min(upto, after+int64(limit))
	return slices.Clone(d.events[after:upto]), nil
}

func (d *database) Read(_ context.Context, topics []chat.TopicSince, upto int64, limit int) (found []chat.Event, _ error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	for _, e := range d.events[:upto] {
		for _, t := range topics {
			if e.Topic == t.Topic && e.ID > t.After && len(found) < limit {
				found = append(found, e)
			}
		}
	}
	return found, nil
}

func (d *database) Ensure(ctx context.Context, name string) error {
	state, _ := d.Head(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, there := d.cursors[name]; !there {
		d.cursors[name] = Progress{Lease: Lease{Name: name, Epoch: 1, Cursor: state.Head}}
	}
	return nil
}

// live reports whether a node holds a follower. The caller holds d.mu.
func (d *database) live(name string) bool { return time.Now().Before(d.expires[d.node[name]]) }

func (d *database) Free(context.Context, []string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looks++
	for name, p := range d.cursors {
		if !d.live(name) && p.Paused == "" {
			return true, nil
		}
	}
	return false, nil
}

func (d *database) Claim(_ context.Context, node string, lease time.Duration, _ []string, most int, held []string) (got []Lease, _ error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.claims++
	d.expires[node] = time.Now().Add(lease)
	for name, p := range d.cursors {
		if (!d.live(name) || d.node[name] == node && held != nil && !slices.Contains(held, name)) && p.Paused == "" && len(got) < most {
			p.Epoch++
			d.cursors[name], d.node[name] = p, node
			got = append(got, p.Lease)
		}
	}
	return got, nil
}

func (d *database) Renew(_ context.Context, node string, lease time.Duration) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.renews++
	if !time.Now().Before(d.expires[node]) {
		return false, nil
	}
	d.expires[node] = time.Now().Add(lease)
	return true, nil
}

func (d *database) Save(_ context.Context, all []Progress) ([]bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.saves++
	return d.save(all), nil
}

func (d *database) save(all []Progress) []bool {
	saved := make([]bool, len(all))
	for i, p := range all {
		if saved[i] = d.cursors[p.Name].Epoch == p.Epoch; saved[i] {
			d.cursors[p.Name] = p
			d.rows++
		}
	}
	return saved
}

func (d *database) Release(_ context.Context, node string, all []Progress) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.saves++
	d.save(all)
	delete(d.expires, node)
	return nil
}

// settle lets time pass, and then waits until everything is idle.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// post adds events of a topic to the log and tells the runner.
func (d *database) post(r *Runner, topic chat.Topic, count int) {
	d.mu.Lock()
	from := len(d.events)
	for range count {
		d.events = append(d.events, chat.Event{ID: int64(len(d.events)) + 1, Topic: topic, Type: chat.TypeChatMessage})
	}
	events := slices.Clone(d.events[from:])
	d.mu.Unlock()
	r.Tell("log", events, events[len(events)-1].ID)
}

// given records what followers were given, and when.
type given struct {
	mu      sync.Mutex
	batches []Batch
	at      []time.Duration // since the start
	began   time.Time
	answer  func(b Batch) error // nil returns nil
}

func (g *given) handle(_ context.Context, b Batch) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.batches = append(g.batches, b)
	g.at = append(g.at, time.Since(g.began))
	if g.answer != nil {
		return g.answer(b)
	}
	return nil
}

func (g *given) answers(f func(Batch) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = f
}

// bubble runs f with a runner of followers of the kind test, with fake time.
func bubble(t *testing.T, d *database, gate *activity.Gate, load func(name string) Follower, f func(t *testing.T, r *Runner)) {
	t.Helper()
	r := New(d, d, Config{Gate: gate})
	r.AddKind(Kind{Name: "test", Load: func(_ context.Context, names []string) (all []Follower, _ error) {
		for _, name := range names {
			all = append(all, load(name))
		}
		return all, nil
	}})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	synctest.Wait()
	f(t, r)
	stop()
	<-done
}

// A failing batch is retried after 1 s, 2 s … 1 h, or when the follower says. Success resets the interval.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("test:1")
		g := &given{began: time.Now()}
		bubble(t, d, nil, func(name string) Follower { return Follower{Name: name, Handle: g.handle} }, func(t *testing.T, r *Runner) {
			failed := errors.New("no answer")
			g.answer = func(b Batch) error {
				if len(g.batches) == 15 {
					return &Later{After: 20 * time.Minute, Err: failed}
				}
				if len(g.batches) == 16 {
					return nil
				}
				return failed
			}
			d.post(r, 2, 3)
			settle(24 * time.Hour)
			if len(g.batches) != 16 {
				t.Fatalf("%d calls, want 16", len(g.batches))
			}
			for i, b := range g.batches {
				if b.Failures != i || len(b.Events) != 3 || (i > 0) == b.FailingSince.IsZero() {
					t.Errorf("call %d: %d failures since %v, %d events", i, b.Failures, b.FailingSince, len(b.Events))
				}
				if i == 0 {
					continue
				}
				want := min(time.Second<<(i-1), time.Hour)
				least := want * 9 / 10
				if i == 15 {
					want, least = 20*time.Minute, 20*time.Minute
				}
				if waited := g.at[i] - g.at[i-1]; waited < least || waited > want {
					t.Errorf("before call %d it waited %v, want %v", i, waited, want)
				}
			}
			if p := d.cursors["test:1"]; p.Failures != 0 || p.Error != "" || p.Cursor != 3 {
				t.Errorf("cursor at the end = %+v", p)
			}
		})
	})
}

// The next node to hold a follower waits as long as the last one would have.
func TestBackOffOutlivesTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("test:1")
		g := &given{began: time.Now(), answer: func(Batch) error { return &Later{After: time.Hour, Err: errors.New("no")} }}
		load := func(name string) Follower { return Follower{Name: name, Handle: g.handle} }
		bubble(t, d, nil, load, func(t *testing.T, r *Runner) {
			d.post(r, 2, 1)
			settle(time.Second)
		})
		g.answers(nil)
		bubble(t, d, nil, load, func(t *testing.T, _ *Runner) { settle(2 * time.Hour) })
		if len(g.at) != 2 || g.at[1]-g.at[0] < time.Hour || g.batches[1].Failures != 1 {
			t.Errorf("called at %v with %+v", g.at, g.batches)
		}
	})
}

// A follower is called at most every 50 ms, with everything posted until then as one batch, and each batch moves the
// cursor once.
func TestFollowersAreWokenRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("test:1")
		g := &given{began: time.Now()}
		bubble(t, d, nil, func(name string) Follower { return Follower{Name: name, Batch: 1000, Handle: g.handle} }, func(t *testing.T, r *Runner) {
			for range 1000 {
				d.post(r, 2, 1)
				time.Sleep(time.Millisecond)
			}
			settle(time.Second)
			events := 0
			for _, b := range g.batches {
				events += len(b.Events)
			}
			if most := int(time.Second/pace) + 2; events != 1000 || len(g.batches) > most || len(g.batches) < most/2 {
				t.Errorf("%d events in %d batches; want 1000 in about %d", events, len(g.batches), most)
			}
			if d.saves > len(g.batches) || d.reads > 1 {
				t.Errorf("%d cursor writes and %d log reads", d.saves, d.reads)
			}
		})
	})
}

// Events in other topics cost a follower nothing: a thousand followers are not called, and read and write nothing,
// during a hundred thousand posts. In an idle hour a node with them makes as few queries as with one follower.
func TestIdleFollowersCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 1000
		names := make([]string, count)
		topics := make(map[string]chat.Topic)
		for i := range names {
			names[i] = fmt.Sprint("test:", i)
			topics[names[i]] = chat.RoomTopic(int64(i) + 1)
		}
		d := newDatabase(names...)
		g := &given{began: time.Now()}
		load := func(name string) Follower {
			return Follower{Name: name, Topics: []chat.Topic{topics[name]}, Handle: g.handle}
		}
		bubble(t, d, nil, load, func(t *testing.T, r *Runner) {
			if len(r.Stats()) != count || d.claims > count/mostClaimed+1 {
				t.Fatalf("node holds %d followers after %d claims", len(r.Stats()), d.claims)
			}
			d.forget()
			for range 10 {
				d.post(r, chat.RoomTopic(count+7), 10_000) // more than is kept in memory
			}
			settle(time.Second)
			if len(g.batches) != 0 || d.reads+d.saves != 0 {
				t.Errorf("posts elsewhere: %d calls, %d reads, %d writes", len(g.batches), d.reads, d.saves)
			}
			d.post(r, topics["test:500"], 1)
			settle(time.Second)
			if len(g.batches) != 1 || len(g.batches[0].Events) != 1 || d.reads != 0 || d.rows != 1 {
				t.Errorf("a post: %d calls, %d reads, %d rows", len(g.batches), d.reads, d.rows)
			}
			d.forget()
			settle(time.Hour)
			if ticks := int(time.Hour / (lease / 3)); d.looks > ticks+1 || d.renews > ticks+1 || d.reads != 0 || d.saves != 1 || d.rows != count-1 {
				t.Errorf("an hour without events: %d looks, %d renewals, %d reads, %d writes of %d rows", d.looks, d.renews, d.reads, d.saves, d.rows)
			}
		})
	})
}

// A node that is not needed gives its leases back and makes no queries. When it wakes it continues where it was.
func TestFollowersOfASilentNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("test:1")
		g := &given{began: time.Now()}
		gate := activity.New()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		var busy atomic.Pointer[Runner]
		gate.Busy = func() bool { r := busy.Load(); return r != nil && r.Busy() }
		go func() { defer close(done); gate.Run(ctx) }()
		bubble(t, d, gate, func(name string) Follower { return Follower{Name: name, Handle: g.handle} }, func(t *testing.T, r *Runner) {
			busy.Store(r)
			d.post(r, 2, 1)
			settle(30 * time.Second)
			asked := d.asked()
			if gate.Open() || d.live("test:1") || len(g.batches) != 1 || d.cursors["test:1"].Cursor != 1 {
				t.Errorf("gate open = %v, lease held = %v, %d calls, %+v", gate.Open(), d.live("test:1"), len(g.batches), d.cursors["test:1"])
			}
			settle(time.Hour)
			if d.asked() != asked {
				t.Errorf("silent node made %d queries", d.asked()-asked)
			}
			if err := gate.Enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.post(r, 2, 1)
			settle(time.Second)
			if len(g.batches) != 2 || g.batches[1].Events[0].ID != 2 {
				t.Errorf("batches after waking = %+v", g.batches)
			}
			// Work that is due soon keeps the node awake; later work does not.
			g.answers(func(Batch) error { return &Later{After: 40 * time.Second} })
			d.post(r, 2, 1)
			settle(time.Second)
			gate.Leave()
			settle(35 * time.Second)
			if !gate.Open() {
				t.Error("node went silent although work was due soon")
			}
			g.answers(func(Batch) error { return &Later{After: 2 * time.Hour} })
			settle(time.Minute)
			if gate.Open() {
				t.Error("node stays awake for work due in hours")
			}
		})
		stop()
		<-done
	})
}

// A batch may be completed in part: the completed part is not repeated.
func TestPartlyDoneBatchIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("test:1")
		g := &given{began: time.Now()}
		g.answer = func(b Batch) error {
			if len(g.batches) == 1 {
				return &Later{After: 10 * time.Second, Done: 2}
			}
			return nil
		}
		bubble(t, d, nil, func(name string) Follower { return Follower{Name: name, Handle: g.handle} }, func(t *testing.T, r *Runner) {
			d.post(r, 2, 3)
			settle(time.Second)
			d.mu.Lock() // the cursor is written again, by a timer
			if d.cursors["test:1"].Cursor != 2 {
				t.Errorf("cursor = %+v", d.cursors["test:1"])
			}
			d.mu.Unlock()
			settle(time.Minute)
			if len(g.batches) != 2 || len(g.batches[1].Events) != 1 || g.batches[1].Events[0].ID != 3 || g.at[1]-g.at[0] != 10*time.Second || g.batches[1].Failures != 0 {
				t.Errorf("batches = %+v at %v", g.batches, g.at)
			}
		})
	})
}

// A paused follower is not called, and no node takes it.
func TestPausedFollowerIsNotCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("test:1")
		g := &given{began: time.Now(), answer: func(Batch) error { return &Pause{Reason: "gone"} }}
		bubble(t, d, nil, func(name string) Follower { return Follower{Name: name, Handle: g.handle} }, func(t *testing.T, r *Runner) {
			d.post(r, 2, 1)
			settle(time.Hour)
			if len(g.batches) != 1 || d.cursors["test:1"].Paused != "gone" || d.cursors["test:1"].Cursor != 0 || len(r.Stats()) != 0 {
				t.Errorf("%d calls, cursor = %+v", len(g.batches), d.cursors["test:1"])
			}
		})
	})
}

// For a message that has been deleted, a follower is given the event as it is in the log now, without its text.
func TestDeletedTextsLeaveTheMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("test:1")
		g := &given{began: time.Now()}
		bubble(t, d, nil, func(name string) Follower { return Follower{Name: name, Handle: g.handle} }, func(t *testing.T, r *Runner) {
			d.post(r, 2, 1)
			d.mu.Lock()
			d.events[0].Body = "scrubbed"
			deletion := chat.Event{ID: 2, Topic: 2, Type: chat.TypeMessageDeleted}
			d.events = append(d.events, deletion)
			d.mu.Unlock()
			r.Tell("log", []chat.Event{deletion}, 2)
			settle(time.Second)
			if len(g.batches) != 1 || len(g.batches[0].Events) != 2 || g.batches[0].Events[0].Body != "scrubbed" {
				t.Errorf("batches = %+v", g.batches)
			}
		})
	})
}

// After another log has taken over, followers continue from the cursors that it has.
func TestFollowersOfAnotherLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("test:1")
		g := &given{began: time.Now()}
		bubble(t, d, nil, func(name string) Follower { return Follower{Name: name, Handle: g.handle} }, func(t *testing.T, r *Runner) {
			d.post(r, 2, 5)
			settle(time.Second)
			d.mu.Lock()
			d.events = d.events[:3] // what it had not been given
			p := d.cursors["test:1"]
			p.Cursor = 3
			d.cursors["test:1"] = p
			d.mu.Unlock()
			r.Tell("other", nil, 3)
			settle(time.Second)
			d.mu.Lock()
			e := chat.Event{ID: 4, Topic: 2, Type: chat.TypeChatMessage, Body: "new"}
			d.events = append(d.events, e)
			d.mu.Unlock()
			r.Tell("other", []chat.Event{e}, 4)
			settle(time.Second)
			if last := g.batches[len(g.batches)-1]; len(last.Events) != 1 || last.Events[0].Body != "new" || last.Log != "other" {
				t.Errorf("batches = %+v", last)
			}
		})
	})
}

// A node that was called after another's death takes over what that one held before it falls silent, without further
// calls.
func TestSilenceWaitsForFollowersOfDeadNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase("test:1")
		d.node["test:1"] = "dead"
		d.expires["dead"] = time.Now().Add(lease)
		g := &given{began: time.Now()}
		gate := activity.New()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		bubble(t, d, gate, func(name string) Follower { return Follower{Name: name, Handle: g.handle} }, func(t *testing.T, r *Runner) {
			gate.Busy = r.Busy
			go func() { defer close(done); gate.Run(ctx) }()
			settle(2 * time.Second)
			d.mu.Lock()
			d.expires["dead"] = time.Now().Add(lease) // it renewed, and died
			d.mu.Unlock()
			if err := gate.Enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.post(r, 2, 1)
			gate.Leave()
			settle(time.Minute)
			if len(g.batches) != 1 || d.cursors["test:1"].Cursor != 1 || gate.Open() {
				t.Errorf("batches = %+v, cursor = %d, gate open = %v", g.batches, d.cursors["test:1"].Cursor, gate.Open())
			}
		})
		stop()
		<-done
	})
}
