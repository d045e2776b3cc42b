package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tandem/chat"
	"tandem/followers"
)

// patience bounds waits for something that should happen; it is not a performance threshold.
const patience = 5 * time.Minute

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// notebook records what a test's followers were given, by name.
type notebook struct {
	mu   sync.Mutex
	seen map[string][]int64
	by   map[string][]string // the node of each batch
	fail map[string]error    // returned by Handle, without recording
}

func (n *notebook) ids(name string) []int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.seen[name])
}

func (n *notebook) failing(name string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail == nil {
		n.fail = make(map[string]error)
	}
	n.fail[name] = err
}

func (n *notebook) handle(name, node string) func(context.Context, followers.Batch) error {
	return func(_ context.Context, b followers.Batch) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if err := n.fail[name]; err != nil {
			return err
		}
		if n.seen == nil {
			n.seen, n.by = make(map[string][]int64), make(map[string][]string)
		}
		n.seen[name] = append(n.seen[name], ids(b.Events)...)
		n.by[name] = append(n.by[name], node)
		return nil
	}
}

// runner returns a Runner for followers of the kind test, each on the topics that the test chooses.
type runner struct {
	*followers.Runner
	stop func()
}

// runTest runs a Runner of followers test:… that write to the notebook. With a shorter lease a batch may come twice on a busy
// machine.
func runTest(t *testing.T, s *Store, node string, n *notebook, topics map[string][]chat.Topic) *runner {
	t.Helper()
	r := followers.New(s, s, followers.Config{Logger: s.logger})
	r.AddKind(followers.Kind{Name: "test", Load: func(_ context.Context, names []string) (all []followers.Follower, _ error) {
		for _, name := range names {
			all = append(all, followers.Follower{Name: name, Topics: topics[name], Batch: 10, Handle: n.handle(name, node)})
		}
		return all, nil
	}})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	run := &runner{r, func() { stop(); <-done }}
	t.Cleanup(run.stop)
	return run
}

// fanOut passes what a store commits to runners, as hubs do.
type fanOut struct {
	mu      sync.Mutex
	runners []*runner
}

func (f *fanOut) committed(log string, events []chat.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.runners {
		r.Tell(log, events, events[len(events)-1].ID)
	}
}

func (f *fanOut) add(r ...*runner) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runners = append(f.runners, r...)
}

func (s *Store) inTx(t *testing.T, f func(tx *tx) error) {
	t.Helper()
	if err := s.log.do(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func (s *Store) follower(t *testing.T, name string) followers.State {
	t.Helper()
	all, err := s.Followers(t.Context(), []string{name})
	if err != nil || len(all) != 1 {
		t.Fatalf("the follower %s: %v, %v", name, all, err)
	}
	return all[0]
}

// One of two runners has a follower, which is given every event of its topics in order and once, from before and after
// it was added. After a change it continues where it is told to; after its removal it is given nothing.
func TestFollowerGetsTheLog(t *testing.T) { onBoth(t, testFollowerGetsTheLog) }

func testFollowerGetsTheLog(t *testing.T, p place) {
	var f fanOut
	s, u, lobby := world(t, p, f.committed)
	other := makeRoom(t, s, u, "other")
	post := func(r chat.Room) int64 {
		e, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "x"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	var n notebook
	topics := map[string][]chat.Topic{"test:lobby": {chat.RoomTopic(lobby.ID)}}
	f.add(runTest(t, s, "a", &n, topics), runTest(t, s, "b", &n, topics))
	var want, all []int64
	both := func(count int) {
		for range count {
			id := post(lobby)
			want = append(want, id)
			all = append(all, id, post(other))
		}
	}
	both(25)
	s.inTx(t, func(tx *tx) error { return errors.Join(tx.addFollower("test:lobby", 0), tx.addFollower("test:all", 0)) })
	has := func(name string, want *[]int64) func() bool {
		return func() bool { return slices.Equal(n.ids(name), *want) }
	}
	eventually(t, "the follower has the earlier events", has("test:lobby", &want))
	both(25)
	eventually(t, "the follower has the later events", has("test:lobby", &want))
	eventually(t, "the follower of all topics has every event", has("test:all", &all))
	// A change to the follower before then would make a batch come twice.
	cursorIsWritten := func() bool { return s.follower(t, "test:lobby").Cursor >= want[len(want)-1] }
	eventually(t, "the cursor is written", cursorIsWritten)
	for _, name := range []string{"test:lobby", "test:all"} {
		if by := slices.Compact(n.by[name]); len(by) != 1 {
			t.Errorf("%s ran on %v, want one node", name, by)
		}
	}

	from := want[40]
	s.inTx(t, func(tx *tx) error { return tx.changeFollower("test:lobby", &from, "") })
	want = append(want, want[41:]...)
	eventually(t, "the follower gets the events after that id again", has("test:lobby", &want))
	eventually(t, "the cursor is written again", cursorIsWritten)

	s.inTx(t, func(tx *tx) error { return tx.changeFollower("test:lobby", nil, "tired") })
	missed := post(lobby)
	eventually(t, "the other follower has the missed event", func() bool { return slices.Contains(n.ids("test:all"), missed) })
	if got := n.ids("test:lobby"); !slices.Equal(got, want) {
		t.Errorf("paused it was given %v", got[len(want):])
	}
	if state := s.follower(t, "test:lobby"); state.Paused != "tired" || state.Held {
		t.Errorf("follower = %+v", state)
	}
	s.inTx(t, func(tx *tx) error { return tx.changeFollower("test:lobby", nil, "") })
	want = append(want, missed)
	eventually(t, "the follower continues", has("test:lobby", &want))

	s.inTx(t, func(tx *tx) error { return tx.removeFollower("test:lobby") })
	missed = post(lobby)
	eventually(t, "the other follower has the missed event", func() bool { return slices.Contains(n.ids("test:all"), missed) })
	if got := n.ids("test:lobby"); !slices.Equal(got, want) {
		t.Errorf("removed it was given %v", got[len(want):])
	}
}

// A runner that stops gives its leases back at once: another continues long before they would have expired.
func TestFollowersMoveWhenTheirNodeStops(t *testing.T) {
	onBoth(t, testFollowersMoveWhenTheirNodeStops)
}

func testFollowersMoveWhenTheirNodeStops(t *testing.T, p place) {
	var f fanOut
	s, u, lobby := world(t, p, f.committed)
	var n notebook
	a := runTest(t, s, "a", &n, nil)
	f.add(a)
	const count = 20
	s.inTx(t, func(tx *tx) (err error) {
		for i := range count {
			err = errors.Join(err, tx.addFollower(fmt.Sprint("test:", i), 0))
		}
		return err
	})
	held := func() (held int) {
		for i := range count {
			if s.follower(t, fmt.Sprint("test:", i)).Held {
				held++
			}
		}
		return held
	}
	eventually(t, "one node holds all followers", func() bool { return held() == count })
	first, _, err := s.Post(t.Context(), guardOf(u, lobby), message(u, lobby, "x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	a.stop()
	if left := held(); left != 0 {
		t.Errorf("%d leases held after it stopped", left)
	}
	f.add(runTest(t, s, "b", &n, nil))
	second, _, err := s.Post(t.Context(), guardOf(u, lobby), message(u, lobby, "x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		name := fmt.Sprint("test:", i)
		eventually(t, name+" has both", func() bool { return slices.Equal(n.ids(name), []int64{first.ID, second.ID}) })
	}
}

// Writes of a lease's former holder have no effect.
func TestFormerHolderCannotMoveCursor(t *testing.T) { onBoth(t, testFormerHolderCannotMoveCursor) }

func testFormerHolderCannotMoveCursor(t *testing.T, p place) {
	s := p.open(t, Config{})
	s.inTx(t, func(tx *tx) error { return tx.addFollower("test:1", 5) })
	claim := func(node string, lease time.Duration) followers.Lease {
		t.Helper()
		leases, err := s.Claim(t.Context(), node, lease, []string{"test"}, 10, nil)
		if err != nil || len(leases) != 1 {
			t.Fatalf("Claim = %v, %v", leases, err)
		}
		return leases[0]
	}
	save := func(l followers.Lease, cursor int64) bool {
		t.Helper()
		l.Cursor = cursor
		saved, err := s.Save(t.Context(), []followers.Progress{{Lease: l}})
		if err != nil {
			t.Fatal(err)
		}
		return saved[0]
	}
	old := claim("a", time.Millisecond)
	if !save(old, 6) {
		t.Error("the holder of the lease cannot save")
	}
	if leases, err := s.Claim(t.Context(), "a", time.Millisecond, []string{"test", "other"}, 10, nil); err != nil || len(leases) != 0 {
		t.Errorf("claimed a held lease: %v, %v", leases, err)
	}
	time.Sleep(10 * time.Millisecond)
	if free, err := s.Free(t.Context(), []string{"test"}); err != nil || !free {
		t.Errorf("Free of an expired lease = %v, %v, want true", free, err)
	}
	now := claim("b", time.Hour)
	if now.Cursor != 6 || now.Epoch <= old.Epoch {
		t.Errorf("got %+v after %+v", now, old)
	}
	if save(old, 7) || s.follower(t, "test:1").Cursor != 6 {
		t.Errorf("former holder saved: %+v", s.follower(t, "test:1"))
	}
	if alive, err := s.Renew(t.Context(), "a", time.Hour); err != nil || alive {
		t.Errorf("former holder renewed: %v, %v", alive, err)
	}
	if free, err := s.Free(t.Context(), []string{"test"}); err != nil || free {
		t.Errorf("Free of a held lease = %v, %v, want false", free, err)
	}
	if !save(now, 8) || s.follower(t, "test:1").Cursor != 8 {
		t.Errorf("follower = %+v", s.follower(t, "test:1"))
	}
	// In doubt a node trusts its own record of what it holds; anything else that is recorded as its own is free.
	if again, err := s.Claim(t.Context(), "b", time.Hour, []string{"test"}, 10, []string{}); err != nil || len(again) != 1 || again[0].Epoch <= now.Epoch {
		t.Errorf("Claim after a lost response = %v, %v", again, err)
	}
}

// If 50 of 100 followers hang or fail, the others are given everything at once. Failing ones are given the same batch
// again, and the next node to hold them knows how long they have failed.
func TestFailingFollowersDelayNobody(t *testing.T) { onBoth(t, testFailingFollowersDelayNobody) }

func testFailingFollowersDelayNobody(t *testing.T, p place) {
	const count = 100
	var f fanOut
	s, u, lobby := world(t, p, f.committed)
	var n notebook
	name := func(i int) string { return fmt.Sprintf("test:%d", i) }
	hang, hanging := make(chan struct{}), make(map[string]bool)
	for i := range count {
		switch i % 4 {
		case 0:
			hanging[name(i)] = true
		case 1:
			n.failing(name(i), errors.New("out of order"))
		}
	}
	r := followers.New(s, s, followers.Config{})
	r.AddKind(followers.Kind{Name: "test", Load: func(_ context.Context, names []string) (all []followers.Follower, _ error) {
		for _, name := range names {
			handle := n.handle(name, "a")
			all = append(all, followers.Follower{Name: name, Handle: func(ctx context.Context, b followers.Batch) error {
				if hanging[name] {
					select {
					case <-hang:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				return handle(ctx, b)
			}})
		}
		return all, nil
	}})
	s.inTx(t, func(tx *tx) (err error) {
		for i := range count {
			err = errors.Join(err, tx.addFollower(name(i), 0))
		}
		return err
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	defer func() { stop(); <-done }()
	f.add(&runner{Runner: r})
	var want []int64
	for range 300 {
		e, _, err := s.Post(t.Context(), guardOf(u, lobby), message(u, lobby, "x"), nil)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, e.ID)
	}
	has := func(i int) func() bool { return func() bool { return slices.Equal(n.ids(name(i)), want) } }
	for i := range count {
		if i%4 >= 2 {
			eventually(t, name(i)+" has everything", has(i))
		} else if got := n.ids(name(i)); len(got) != 0 {
			t.Fatalf("%s has %d, want none", name(i), len(got))
		}
	}
	eventually(t, "a failure is recorded", func() bool { return s.follower(t, name(1)).Failures > 0 })
	if state := s.follower(t, name(1)); state.Error != "out of order" || state.FailingSince.IsZero() || !state.RetryAt.After(state.FailingSince) || state.Cursor >= want[0] {
		t.Errorf("follower = %+v", state)
	}
	close(hang)
	for i := range count {
		n.failing(name(i), nil)
		r.Wake(name(i))
	}
	for i := range count {
		eventually(t, name(i)+" has everything", has(i))
	}
	eventually(t, "the failures are reset", func() bool {
		state := s.follower(t, name(1))
		return state.Failures == 0 && state.Error == "" && state.FailingSince.IsZero()
	})
}
