package realtime

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tandem/chat"
)

// wire is what several nodes' buses have in common: it can be cut, and loses what is sent meanwhile.
type wire struct {
	mu   sync.Mutex
	ends []*wireEnd
	cut  bool
	lost string // the kind of statements that are
}

type wireEnd struct {
	*Memory
	wire *wire
}

func (e *wireEnd) Send(m Message) {
	if m.Statement == nil {
		e.Memory.Send(m)
	}
	e.wire.mu.Lock()
	defer e.wire.mu.Unlock()
	if e.wire.cut {
		return
	}
	if m.Statement != nil && m.Statement.Kind == e.wire.lost {
		return
	}
	for _, other := range e.wire.ends {
		if other != e || m.Statement != nil {
			other.Memory.Send(m)
		}
	}
}

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
}

func (w *wire) lose(kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost = kind
}

// cluster is several hubs over one log.
type cluster struct {
	t    *testing.T
	log  *logbook
	wire *wire
}

// node starts another hub; kill ends it without a word.
func (c *cluster) node(name string) (hub *Hub, kill func()) {
	end := &wireEnd{NewMemory(), c.wire}
	c.wire.mu.Lock()
	c.wire.ends = append(c.wire.ends, end)
	c.wire.mu.Unlock()
	hub, err := New(c.t.Context(), c.log, &rooms{}, end, Config{RingBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler), Node: name})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); hub.Run(ctx) }()
	return hub, sync.OnceFunc(func() {
		c.wire.mu.Lock()
		c.wire.ends = slices.DeleteFunc(c.wire.ends, func(e *wireEnd) bool { return e == end })
		c.wire.mu.Unlock()
		cancel()
		<-done
	})
}

func inCluster(t *testing.T, f func(c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(&cluster{t, &logbook{}, &wire{}}) })
}

// enter opens a stream of a user's in the lobby, which nobody reads.
func enter(t *testing.T, h *Hub, user int64, name string) *Stream {
	t.Helper()
	s, err := h.Open(t.Context(), chat.Viewer{User: user, Name: name}, SSE, Request{Rooms: []string{"lobby"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantUsers(t *testing.T, when string, want []string, hubs ...*Hub) {
	t.Helper()
	synctest.Wait()
	for i, h := range hubs {
		if names, _ := h.Users(lobby.Number()); !slices.Equal(names, want) {
			t.Errorf("%s node %d has %v, want %v", when, i+1, names, want)
		}
	}
}

func TestNodesSeeEachOthersPeople(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		defer killOne()
		ada := enter(c.t, one, 1, "ada")
		bob := enter(c.t, two, 2, "bob")
		wantUsers(c.t, "at first", []string{"ada", "bob"}, one, two)
		// One who is on both is one, until the last node has lost them.
		again := enter(c.t, two, 1, "ada")
		ada.Drop()
		time.Sleep(2 * grace)
		wantUsers(c.t, "with ada on the second alone", []string{"ada", "bob"}, one, two)
		again.Drop()
		time.Sleep(2 * grace)
		wantUsers(c.t, "without ada", []string{"bob"}, one, two)
		// A node that comes later asks.
		three, killThree := c.node("three")
		defer killThree()
		wantUsers(c.t, "a third", []string{"bob"}, one, two, three)
		bob.Drop()
		time.Sleep(2 * grace)
		wantUsers(c.t, "with nobody", nil, one, two, three)
	})
}

// What is lost on the way is found out by the sum.
func TestLostStatementsAreMadeUpFor(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		defer killOne()
		synctest.Wait()
		c.wire.lose(came)
		ada := enter(c.t, one, 1, "ada")
		wantUsers(c.t, "told by nobody", nil, two)
		time.Sleep(aliveEvery + time.Second)
		wantUsers(c.t, "by the sum", []string{"ada"}, one, two)
		c.wire.lose(left)
		ada.Drop()
		for names, _ := one.Users(lobby.Number()); len(names) > 0; names, _ = one.Users(lobby.Number()) {
			time.Sleep(100 * time.Millisecond)
		}
		wantUsers(c.t, "with the leave lost", []string{"ada"}, two)
		time.Sleep(aliveEvery + time.Second)
		wantUsers(c.t, "by the sum", nil, one, two)
	})
}

// A killed node's people leave everywhere within 20 s, and nobody else does.
func TestKilledNodesPeopleLeave(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		enter(c.t, one, 1, "ada").Drop()
		time.Sleep(time.Minute)
		ada, bob := enter(c.t, one, 1, "ada"), enter(c.t, two, 2, "bob")
		defer bob.Drop()
		wantUsers(c.t, "before", []string{"ada", "bob"}, one, two)
		killOne()
		time.Sleep(8 * time.Second)
		wantUsers(c.t, "soon after", []string{"ada", "bob"}, two)
		time.Sleep(12 * time.Second)
		wantUsers(c.t, "20 s after", []string{"bob"}, two)
		ada.Drop()
	})
}

// While the bus is down nobody is declared gone; after it is back those who did go are gone, and nobody else.
func TestLossOfTheBusMakesNoFalseLeaves(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		three, killThree := c.node("three")
		defer killTwo()
		defer killOne()
		streams := []*Stream{enter(c.t, one, 1, "ada"), enter(c.t, two, 2, "bob"), enter(c.t, three, 3, "cyd")}
		wantUsers(c.t, "before", []string{"ada", "bob", "cyd"}, one, two, three)
		c.wire.set(true)
		killThree()
		for range 30 {
			time.Sleep(10 * time.Second)
			wantUsers(c.t, "without the bus", []string{"ada", "bob", "cyd"}, one, two)
		}
		c.wire.set(false)
		for range 12 {
			time.Sleep(time.Second)
			wantUsers(c.t, "just after", []string{"ada", "bob", "cyd"}, one, two)
		}
		time.Sleep(10 * time.Second)
		wantUsers(c.t, "later", []string{"ada", "bob"}, one, two)
		for _, s := range streams {
			s.Drop()
		}
	})
}

// A node that stops in good order says bye: its people have the time to come back elsewhere, and no more.
func TestDrainedNodesPeopleMayComeBack(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		ada, cyd := enter(c.t, one, 1, "ada"), enter(c.t, one, 3, "cyd")
		wantUsers(c.t, "before", []string{"ada", "cyd"}, two)
		go func() { ada.Drop(); cyd.Drop() }()
		one.Drain(c.t.Context())
		synctest.Wait()
		killOne()
		back := enter(c.t, two, 1, "ada")
		defer back.Drop()
		time.Sleep(4 * time.Second)
		wantUsers(c.t, "at first", []string{"ada", "cyd"}, two)
		time.Sleep(8 * time.Second)
		wantUsers(c.t, "then", []string{"ada"}, two)
	})
}

// Another log under the same roof: every stream is sent back, to be judged by its cursor.
func TestAnotherLogSendsStreamsBack(t *testing.T) {
	inBubble(t, 1<<20, func(b *bench) {
		b.post(lobby)
		s := enter(b.t, b.Hub, 1, "ada")
		synctest.Wait()
		b.log.rename("other")
		time.Sleep(2 * time.Second)
		_, done, err := s.Next(b.t.Context(), nil)
		if err != nil || !done {
			t.Errorf("the stream goes on with another log: %v", err)
		}
		s.Drop()
		for id, want := range map[int64]string{1: "", 2: chat.ResetAheadOfHead} {
			o := &opening{stream: s, request: Request{Cursor: &chat.Cursor{ID: id, Log: "test"}}, state: chat.LogState{Name: "other", Floor: 1, Head: 1}}
			b.log.shared = 5
			if err := o.judge(b.t.Context()); err != nil || o.reset != want {
				t.Errorf("the cursor %d of the old log is reset as %q, %v; want %q", id, o.reset, err, want)
			}
		}
		b.log.shared = 0
		o := &opening{stream: s, request: Request{Cursor: &chat.Cursor{ID: 1, Log: "test"}}, state: chat.LogState{Name: "other", Floor: 1, Head: 1}}
		if err := o.judge(b.t.Context()); err != nil || o.reset != chat.ResetOtherLog {
			t.Errorf("a cursor beyond the cut is reset as %q, %v", o.reset, err)
		}
	})
}
