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

// wire connects the buses of several nodes. While it is cut, it loses what is sent.
type wire struct {
	mu   sync.Mutex
	ends []*wireEnd
	cut  bool
	lost string // the kind of presence update to lose
}

type wireEnd struct {
	*Memory
	wire       *wire
	lag        time.Duration // from its start to its subscription; negative for never
	subscribed bool
}

// Receive delivers what the others send once it is subscribed.
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
	if m.Presence == nil {
		e.Memory.Send(m)
	}
	e.wire.mu.Lock()
	defer e.wire.mu.Unlock()
	if e.wire.cut {
		return
	}
	if m.Presence != nil && m.Presence.Kind == e.wire.lost {
		return
	}
	reached := 0
	for _, other := range e.wire.ends {
		if !other.subscribed {
			continue
		}
		reached++
		if other != e || m.Presence != nil {
			other.Memory.Send(m)
		}
	}
	if m.Presence != nil {
		e.Memory.Send(Message{Reached: reached})
	}
}

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if !cut { // reconnected
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

// cluster is several hubs on one log.
type cluster struct {
	t    *testing.T
	log  *logbook
	wire *wire
}

// node starts another hub; kill ends it without notice.
func (c *cluster) node(name string) (hub *Hub, kill func()) { return c.slowNode(name, 0) }

// slowNode starts a node whose subscription takes the given lag; a negative lag means forever.
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

// enter opens a user's stream of the lobby, which nobody reads.
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
		if names, _ := h.Users(lobby.Number(), 0); !slices.Equal(names, want) {
			t.Errorf("%s: users on node %d: got %v, want %v", when, i+1, names, want)
		}
	}
}

func TestNodesSeeEachOthersUsers(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		defer killOne()
		ada := enter(c.t, one, 1, "ada")
		bob := enter(c.t, two, 2, "bob")
		wantUsers(c.t, "at start", []string{"ada", "bob"}, one, two)
		// A user on both nodes counts once, until neither has them.
		again := enter(c.t, two, 1, "ada")
		ada.Drop()
		time.Sleep(2 * grace)
		wantUsers(c.t, "with ada on node 2 only", []string{"ada", "bob"}, one, two)
		again.Drop()
		time.Sleep(2 * grace)
		wantUsers(c.t, "without ada", []string{"bob"}, one, two)
		// A node that starts later asks for the users.
		three, killThree := c.node("three")
		defer killThree()
		wantUsers(c.t, "after a third node started", []string{"bob"}, one, two, three)
		bob.Drop()
		time.Sleep(2 * grace)
		wantUsers(c.t, "with nobody", nil, one, two, three)
	})
}

// A lost message is noticed by the checksum.
func TestLostPresenceUpdatesAreRepaired(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		defer killOne()
		time.Sleep(time.Second) // they are connected, with nothing outstanding
		c.wire.lose(came)
		ada := enter(c.t, one, 1, "ada")
		wantUsers(c.t, "with the came update lost", nil, two)
		time.Sleep(aliveEvery - time.Second/2)
		wantUsers(c.t, "after the next checksum", []string{"ada"}, one, two)
		c.wire.lose(left)
		ada.Drop()
		for names, _ := one.Users(lobby.Number(), 0); len(names) > 0; names, _ = one.Users(lobby.Number(), 0) {
			time.Sleep(100 * time.Millisecond)
		}
		wantUsers(c.t, "with the left update lost", []string{"ada"}, two)
		time.Sleep(aliveEvery + time.Second)
		wantUsers(c.t, "after the next checksum", nil, one, two)
	})
}

// When a node is killed, its users leave everywhere within 20 s, and no other users do.
func TestUsersOfKilledNodeLeave(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		enter(c.t, one, 1, "ada").Drop()
		time.Sleep(time.Minute)
		ada, bob := enter(c.t, one, 1, "ada"), enter(c.t, two, 2, "bob")
		defer bob.Drop()
		wantUsers(c.t, "before the kill", []string{"ada", "bob"}, one, two)
		killOne()
		time.Sleep(8 * time.Second)
		wantUsers(c.t, "8 s after the kill", []string{"ada", "bob"}, two)
		time.Sleep(12 * time.Second)
		wantUsers(c.t, "20 s after the kill", []string{"bob"}, two)
		ada.Drop()
	})
}

// While the bus is down nobody is reported as gone. When it is back, those who left are gone, and nobody else.
func TestBusOutageCausesNoFalseLeaves(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		three, killThree := c.node("three")
		defer killTwo()
		defer killOne()
		streams := []*Stream{enter(c.t, one, 1, "ada"), enter(c.t, two, 2, "bob"), enter(c.t, three, 3, "cyd")}
		wantUsers(c.t, "before the outage", []string{"ada", "bob", "cyd"}, one, two, three)
		c.wire.set(true)
		killThree()
		for range 30 {
			time.Sleep(10 * time.Second)
			wantUsers(c.t, "without the bus", []string{"ada", "bob", "cyd"}, one, two)
		}
		c.wire.set(false)
		for range 12 {
			time.Sleep(time.Second)
			wantUsers(c.t, "soon after the bus came back", []string{"ada", "bob", "cyd"}, one, two)
		}
		time.Sleep(10 * time.Second)
		wantUsers(c.t, "22 s after the bus came back", []string{"ada", "bob"}, one, two)
		for _, s := range streams {
			s.Drop()
		}
	})
}

// A node that stops cleanly says bye: its users have time to reconnect elsewhere, and no more.
func TestUsersOfDrainedNodeMayReconnect(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		ada, cyd := enter(c.t, one, 1, "ada"), enter(c.t, one, 3, "cyd")
		wantUsers(c.t, "before the drain", []string{"ada", "cyd"}, two)
		go func() { ada.Drop(); cyd.Drop() }()
		one.Drain(c.t.Context())
		synctest.Wait()
		killOne()
		back := enter(c.t, two, 1, "ada")
		defer back.Drop()
		time.Sleep(4 * time.Second)
		wantUsers(c.t, "4 s after the drain", []string{"ada", "cyd"}, two)
		time.Sleep(8 * time.Second)
		wantUsers(c.t, "12 s after the drain", []string{"ada"}, two)
	})
}

// Another log has taken over: every stream is closed, so that its client's cursor is checked when it reconnects.
func TestStreamsCloseWhenTheLogChanges(t *testing.T) {
	inBubble(t, 1<<20, func(b *bench) {
		b.post(lobby)
		s := enter(b.t, b.Hub, 1, "ada")
		synctest.Wait()
		b.log.rename("other")
		time.Sleep(2 * time.Second)
		_, done, err := s.Next(b.t.Context(), nil)
		if err != nil || !done {
			t.Errorf("Next after the log changed: got done %t, %v, want true, nil", done, err)
		}
		s.Drop()
		for id, want := range map[int64]string{1: "", 2: chat.ResetAheadOfHead} {
			o := &opening{stream: s, request: Request{Cursor: &chat.Cursor{ID: id, Log: "test"}}, state: chat.LogState{Name: "other", Floor: 1, Head: 1}}
			b.log.shared = 5
			if err := o.checkCursor(b.t.Context()); err != nil || o.reset != want {
				t.Errorf("cursor %d of the old log: got reset %q, %v, want %q", id, o.reset, err, want)
			}
		}
		b.log.shared = 0
		o := &opening{stream: s, request: Request{Cursor: &chat.Cursor{ID: 1, Log: "test"}}, state: chat.LogState{Name: "other", Floor: 1, Head: 1}}
		if err := o.checkCursor(b.t.Context()); err != nil || o.reset != chat.ResetOtherLog {
			t.Errorf("cursor of a log that shares no event: got reset %q, %v, want %q", o.reset, err, chat.ResetOtherLog)
		}
	})
}

// Nodes that start at about the same time all open streams with complete lists, whichever hears the other first.
// Streams open as soon as the node listens; users who came before their node was heard count too.
func TestNodesStartingTogetherHaveCompleteLists(t *testing.T) {
	for _, lags := range [][2]time.Duration{{0, 0}, {0, 400 * time.Millisecond}, {400 * time.Millisecond, 0}, {300 * time.Millisecond, 310 * time.Millisecond}, {time.Second, 1900 * time.Millisecond}} {
		inCluster(t, func(c *cluster) {
			one, killOne := c.slowNode("one", lags[0])
			two, killTwo := c.slowNode("two", lags[1])
			defer killTwo()
			defer killOne()
			ada := enter(c.t, two, 1, "ada")
			defer ada.Drop()
			synctest.Wait() // the message is in flight, unless nobody was subscribed
			bob := enter(c.t, one, 2, "bob")
			defer bob.Drop()
			if s := string(bob.opening); !strings.Contains(s, `"users":["ada","bob"]`) {
				c.t.Errorf("with subscriptions after %v: opening of bob's stream: got %s, want ada and bob listed", lags, s)
			}
			wantUsers(c.t, "after both opened", []string{"ada", "bob"}, one, two)
		})
	}
}

// A lone node waits for nobody. One that does not hear the others waits 2 s, then continues.
func TestLoneNodeOpensStreamsAtOnce(t *testing.T) {
	inCluster(t, func(c *cluster) {
		began := time.Now()
		one, killOne := c.node("one")
		defer killOne()
		enter(c.t, one, 1, "ada").Drop()
		if took := time.Since(began); took > statePace {
			c.t.Errorf("first stream of a lone node: opened after %s, want at most %s", took, statePace)
		}
		began = time.Now()
		deaf, killDeaf := c.slowNode("deaf", -1)
		defer killDeaf()
		synctest.Wait()
		if deaf.Met() {
			c.t.Error("Met of a node that hears nothing: got true, want false")
		}
		enter(c.t, deaf, 2, "bob").Drop()
		if took := time.Since(began); took != meetWithin {
			c.t.Errorf("first stream without a subscription: opened after %s, want %s", took, meetWithin)
		}
		// A subscriber that has died is not waited for any longer either.
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
			c.t.Errorf("first stream beside a dead node: opened after %s, want %s", took, meetWithin)
		}
	})
}

// Each confirmation of a subscription makes up for what was missed before it, in both directions.
func TestNewSubscriptionCatchesUp(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		defer killOne()
		wantUsers(c.t, "at start", nil, one, two)
		cyd := enter(c.t, two, 3, "cyd")
		for round := range 3 {
			wantUsers(c.t, fmt.Sprintf("before round %d", round), []string{"cyd"}, one, two)
			c.wire.set(true)
			ada, bob := enter(c.t, one, 1, "ada"), enter(c.t, two, 2, "bob")
			wantUsers(c.t, "without the bus", []string{"bob", "cyd"}, two)
			c.wire.set(false)
			time.Sleep(2 * statePace)
			wantUsers(c.t, "after the bus came back", []string{"ada", "bob", "cyd"}, one, two)
			c.wire.set(true)
			ada.Drop()
			bob.Drop()
			for names, _ := two.Users(lobby.Number(), 0); slices.Contains(names, "bob"); names, _ = two.Users(lobby.Number(), 0) {
				time.Sleep(100 * time.Millisecond)
			}
			for names, _ := one.Users(lobby.Number(), 0); slices.Contains(names, "ada"); names, _ = one.Users(lobby.Number(), 0) {
				time.Sleep(100 * time.Millisecond)
			}
			c.wire.set(false)
			time.Sleep(2 * statePace)
			wantUsers(c.t, fmt.Sprintf("after round %d", round), []string{"cyd"}, one, two)
		}
		cyd.Drop()
	})
}

// If many nodes ask at once, a few presence updates answer them all.
func TestConcurrentAsksAreAnsweredTogether(t *testing.T) {
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
			one.receivePresence(&PresenceUpdate{Node: fmt.Sprint("n", i), Kind: ask})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		answers := 0
		for len(spy.queue) > 0 {
			if m := <-spy.queue; m.Presence != nil && m.Presence.Kind == all {
				answers++
			}
		}
		if answers != 2 { // at once for the first, and after statePace for the others
			c.t.Errorf("answers to 100 asks within 100 ms: got %d, want 2", answers)
		}
	})
}

// A node that starts after another has said bye lists that one's users until their time to reconnect is over, as all
// nodes do.
func TestReplacementNodeListsUsersOfDrainedNode(t *testing.T) {
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
		wantUsers(c.t, "after the new node started", []string{"ada", "cyd", "dan"}, three, two)
		defer enter(c.t, three, 1, "ada").Drop()
		time.Sleep(4 * time.Second)
		wantUsers(c.t, "4 s after ada reconnected", []string{"ada", "cyd", "dan"}, three, two)
		time.Sleep(8 * time.Second)
		wantUsers(c.t, "12 s after ada reconnected", []string{"ada", "dan"}, three, two)
	})
}

// A long list is sent in pages. The receiver also removes users who are no longer on it.
func TestLongListsAreSentInPages(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		defer killOne()
		const many = 2*pageOf + 5
		streams := make([]*Stream, many)
		for i := range streams {
			streams[i] = enter(c.t, one, int64(i+1), fmt.Sprintf("user%05d", i))
		}
		two, killTwo := c.node("two")
		defer killTwo()
		spy := &wireEnd{Memory: &Memory{queue: make(chan Message, 10*many), lost: make(chan struct{}, 1)}, wire: c.wire, subscribed: true}
		c.wire.mu.Lock()
		c.wire.ends = append(c.wire.ends, spy)
		c.wire.mu.Unlock()
		count := func(when string, want int) {
			c.t.Helper()
			if err := two.AwaitOthers(c.t.Context()); err != nil {
				c.t.Fatal(err)
			}
			synctest.Wait()
			if _, n := two.Users(lobby.Number(), 0); n != want {
				c.t.Errorf("%s: Users of the second node: got %d, want %d", when, n, want)
			}
		}
		count("after its start", many)
		c.wire.lose(left)
		for _, s := range streams[:10] {
			s.Drop()
		}
		time.Sleep(2*grace + time.Second)
		c.wire.lose("")
		time.Sleep(aliveEvery + 2*time.Second)
		count("after the next checksum", many-10)
		pages := 0
		for len(spy.queue) > 0 {
			m := <-spy.queue
			if n := m.People(); n > pageOf {
				c.t.Errorf("users in a message: got %d, want at most %d", n, pageOf)
			} else if n == pageOf {
				pages++
			}
		}
		if pages == 0 {
			c.t.Error("got no list sent in pages, want one")
		}
		for _, s := range streams[10:] {
			s.Drop()
		}
	})
}

// Nobody leaves because a page of a list was lost.
func TestIncompleteListRemovesNobody(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		defer killOne()
		person := func(user int64) []Presence {
			return []Presence{{lobby, user, fmt.Sprint("user", user)}}
		}
		for _, st := range []PresenceUpdate{
			{Kind: came, People: person(1)}, {Kind: came, People: person(2)},
			{Kind: came, People: person(1), List: 1}, {Kind: listed, List: 1, Pages: 2},
		} {
			st.Node = "two"
			one.receivePresence(&st)
		}
		wantUsers(c.t, "after a lost page", []string{"user1", "user2"}, one)
		for _, st := range []PresenceUpdate{{Kind: came, People: person(1), List: 2}, {Kind: listed, List: 2, Pages: 1}} {
			st.Node = "two"
			one.receivePresence(&st)
		}
		wantUsers(c.t, "after a complete list", []string{"user1"}, one)
	})
}

// The checksums are updated in step with the lists, whether or not the other node follows the room.
func TestChecksumsMatchTheLists(t *testing.T) {
	for _, followed := range []bool{false, true} {
		inCluster(t, func(c *cluster) {
			one, killOne := c.node("one")
			two, killTwo := c.node("two")
			defer killTwo()
			defer killOne()
			check := func(when string, of *Hub, name string, at *Hub) {
				c.t.Helper()
				synctest.Wait()
				var want uint64
				of.mu.RLock()
				defer of.mu.RUnlock()
				for _, p := range of.here() {
					want += p.hash()
				}
				at.mu.RLock()
				defer at.mu.RUnlock()
				var known uint64
				for _, p := range at.nodes[name].people.all() {
					known += p.hash()
				}
				if of.sum != want || at.nodes[name].sum != known {
					c.t.Errorf("%s: checksums of node %s: got %x and %x, want %x and %x", when, name, of.sum, at.nodes[name].sum, want, known)
				}
				if want != known {
					c.t.Errorf("%s: checksum of node %s's list on the other node: got %x, want %x", when, name, known, want)
				}
			}
			checkBoth := func(when string) {
				c.t.Helper()
				check(when, one, "one", two)
				check(when, two, "two", one)
			}
			time.Sleep(time.Second)
			ada, bob := enter(c.t, one, 1, "ada"), enter(c.t, one, 2, "bob")
			if followed {
				defer enter(c.t, two, 3, "cyd").Drop()
			}
			checkBoth("with all")
			ada.Drop()
			time.Sleep(2 * grace)
			checkBoth("without ada")
			c.log.mu.Lock()
			c.log.events = append(c.log.events, chat.Event{ID: int64(len(c.log.events) + 1), Topic: lobby, Type: chat.TypeRoomDeleted, Body: `"room":"lobby"}`})
			c.log.mu.Unlock()
			time.Sleep(2 * time.Second)
			checkBoth("without the room")
			wantUsers(c.t, "without the room", nil, one, two)
			bob.Drop()
			time.Sleep(2 * grace)
			checkBoth("without bob")
		})
	}
}
