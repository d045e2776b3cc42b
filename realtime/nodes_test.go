package realtime

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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
	wire       *wire
	lag        time.Duration // from its start to its subscription; negative for never
	subscribed bool
}

// Receive begins to bring what the others send when it is subscribed.
func (e *wireEnd) Receive(ctx context.Context, f func(Message)) {
	if e.lag >= 0 {
		t := time.AfterFunc(e.lag, func() { e.wire.subscribe(e) })
		defer t.Stop()
	}
	e.Memory.Receive(ctx, f)
}

func (w *wire) subscribe(e *wireEnd) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.subscribed = true
	e.Memory.Send(Message{})
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
	reached := 0
	for _, other := range e.wire.ends {
		if !other.subscribed {
			continue
		}
		reached++
		if other != e || m.Statement != nil {
			other.Memory.Send(m)
		}
	}
	if m.Statement != nil {
		e.Memory.Send(Message{Reached: reached})
	}
}

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if !cut { // connections are made anew
		for _, e := range w.ends {
			e.Memory.Send(Message{})
		}
	}
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
func (c *cluster) node(name string) (hub *Hub, kill func()) { return c.slowNode(name, 0) }

// slowNode is a node whose subscription takes a while; a negative lag is for ever.
func (c *cluster) slowNode(name string, lag time.Duration) (hub *Hub, kill func()) {
	end := &wireEnd{Memory: NewMemory(), wire: c.wire, lag: lag}
	c.wire.mu.Lock()
	c.wire.ends = append(c.wire.ends, end)
	c.wire.mu.Unlock()
	hub, err := New(c.t.Context(), c.log, &rooms{}, end, Config{RingBytes: 1 << 20, Plain: true, Logger: slog.New(slog.DiscardHandler), Node: name})
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
	for _, h := range hubs {
		if err := h.AwaitOthers(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
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
		time.Sleep(time.Second) // they have met, and owe each other nothing
		c.wire.lose(came)
		ada := enter(c.t, one, 1, "ada")
		wantUsers(c.t, "told by nobody", nil, two)
		time.Sleep(aliveEvery - time.Second/2)
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

// Nodes that start at about the same time: whichever hears the other first, a list that is opened lacks nobody. Streams
// are opened as soon as the node listens; those of people who came before their node was heard count too.
func TestFirstListOfNodesThatStartTogetherLacksNobody(t *testing.T) {
	for _, lags := range [][2]time.Duration{{0, 0}, {0, 400 * time.Millisecond}, {400 * time.Millisecond, 0}, {300 * time.Millisecond, 310 * time.Millisecond}, {time.Second, 1900 * time.Millisecond}} {
		inCluster(t, func(c *cluster) {
			one, killOne := c.slowNode("one", lags[0])
			two, killTwo := c.slowNode("two", lags[1])
			defer killTwo()
			defer killOne()
			ada := enter(c.t, two, 1, "ada")
			defer ada.Drop()
			synctest.Wait() // the word of it is on its way, unless nobody was there to hear it
			bob := enter(c.t, one, 2, "bob")
			defer bob.Drop()
			if s := string(bob.opening); !strings.Contains(s, `"users":["ada","bob"]`) {
				c.t.Errorf("subscribed after %v: the list that bob begins with: %s", lags, s)
			}
			wantUsers(c.t, "then", []string{"ada", "bob"}, one, two)
		})
	}
}

// A node that is alone waits for nobody; one that does not hear the others waits 2 s, and goes on.
func TestStartDoesNotWaitForNobody(t *testing.T) {
	inCluster(t, func(c *cluster) {
		began := time.Now()
		one, killOne := c.node("one")
		defer killOne()
		enter(c.t, one, 1, "ada").Drop()
		if took := time.Since(began); took > statePace {
			c.t.Errorf("a lone node's first stream was open after %s", took)
		}
		began = time.Now()
		deaf, killDeaf := c.slowNode("deaf", -1)
		defer killDeaf()
		synctest.Wait()
		if deaf.Met() {
			c.t.Error("a node that hears nothing says that it knows the others")
		}
		enter(c.t, deaf, 2, "bob").Drop()
		if took := time.Since(began); took != meetWithin {
			c.t.Errorf("without a subscription the first stream was open after %s", took)
		}
		// Whoever is subscribed and has died is not waited for longer either.
		killOne()
		mute := &wireEnd{Memory: NewMemory(), wire: c.wire, subscribed: true}
		c.wire.mu.Lock()
		c.wire.ends = append(c.wire.ends, mute)
		c.wire.mu.Unlock()
		began = time.Now()
		three, killThree := c.node("three")
		defer killThree()
		enter(c.t, three, 3, "cyd").Drop()
		if took := time.Since(began); took != meetWithin {
			c.t.Errorf("beside a dead node the first stream was open after %s", took)
		}
	})
}

// Each confirmation of a subscription makes up at once for what passed before it, in both directions.
func TestNewSubscriptionMakesUpForWhatPassed(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		defer killOne()
		wantUsers(c.t, "at first", nil, one, two)
		cyd := enter(c.t, two, 3, "cyd")
		for round := range 3 {
			wantUsers(c.t, "before", []string{"cyd"}, one, two)
			c.wire.set(true)
			ada, bob := enter(c.t, one, 1, "ada"), enter(c.t, two, 2, "bob")
			wantUsers(c.t, "without the bus", []string{"bob", "cyd"}, two)
			c.wire.set(false)
			time.Sleep(2 * statePace)
			wantUsers(c.t, "after it", []string{"ada", "bob", "cyd"}, one, two)
			c.wire.set(true)
			ada.Drop()
			bob.Drop()
			for names, _ := two.Users(lobby.Number()); slices.Contains(names, "bob"); names, _ = two.Users(lobby.Number()) {
				time.Sleep(100 * time.Millisecond)
			}
			for names, _ := one.Users(lobby.Number()); slices.Contains(names, "ada"); names, _ = one.Users(lobby.Number()) {
				time.Sleep(100 * time.Millisecond)
			}
			c.wire.set(false)
			time.Sleep(2 * statePace)
			wantUsers(c.t, fmt.Sprintf("after round %d", round), []string{"cyd"}, one, two)
		}
		cyd.Drop()
	})
}

// Many nodes that ask at once are all answered, with few statements.
func TestManyThatAskAreAnsweredTogether(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		defer killOne()
		defer enter(c.t, one, 1, "ada").Drop()
		spy := &wireEnd{Memory: NewMemory(), wire: c.wire, subscribed: true}
		c.wire.mu.Lock()
		c.wire.ends = append(c.wire.ends, spy)
		c.wire.mu.Unlock()
		synctest.Wait()
		time.Sleep(time.Second)
		for len(spy.queue) > 0 {
			<-spy.queue
		}
		for i := range 100 {
			one.hear(&Statement{Node: fmt.Sprint("n", i), Kind: ask})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		answers := 0
		for len(spy.queue) > 0 {
			if m := <-spy.queue; m.Statement != nil && m.Statement.Kind == all {
				answers++
			}
		}
		if answers != 2 { // at once for the first, and after statePace for those who asked meanwhile
			c.t.Errorf("100 nodes that asked within 100 ms got %d answers", answers)
		}
	})
}

// A node that starts while another has said bye: that one's people are in its lists until their time to come back is
// over, as they are in everybody's.
func TestNodeThatReplacesADrainedOneListsItsPeople(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		ada, cyd := enter(c.t, one, 1, "ada"), enter(c.t, one, 3, "cyd")
		go func() { ada.Drop(); cyd.Drop() }()
		one.Drain(c.t.Context())
		synctest.Wait()
		killOne()
		three, killThree := c.node("three")
		defer killThree()
		defer enter(c.t, three, 4, "dan").Drop()
		wantUsers(c.t, "the new node", []string{"ada", "cyd", "dan"}, three, two)
		defer enter(c.t, three, 1, "ada").Drop()
		time.Sleep(4 * time.Second)
		wantUsers(c.t, "a while after", []string{"ada", "cyd", "dan"}, three, two)
		time.Sleep(8 * time.Second)
		wantUsers(c.t, "later", []string{"ada", "dan"}, three, two)
	})
}
