package realtime

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"tandem/chat"
	"tandem/panics"
)

// poison makes the next event that enters the ring panic, in the middle of the step and under the hub's lock.
func (b *bench) poison() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ring.entries = append([]*entry{nil}, b.ring.entries...) // what is evicted first
	b.ring.bytes = b.ring.limit + 1
}

// panicked checks that something has panicked since before.
func panicked(t *testing.T, before uint64) {
	t.Helper()
	synctest.Wait()
	if panics.Total() == before {
		t.Error("no panic: this run tests nothing")
	}
}

var dev = chat.RoomTopic(int64(len("dev")))

func TestPanicAtAnEventLosesNothing(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		concerned := b.open("ada", Request{Rooms: []string{"lobby"}})
		other := b.open("bo", Request{Rooms: []string{"dev"}})
		b.post(lobby)
		expect(t, concerned.seen()[2:], "chat_message:1")
		other.seen()

		before := panics.Total()
		b.poison()
		b.post(lobby)
		panicked(t, before)
		expect(t, concerned.seen(), "stream_close", "end")
		b.post(dev)
		expect(t, other.seen(), "chat_message:3")
		again := b.open("ada", Request{Rooms: []string{"lobby"}, Cursor: &chat.Cursor{ID: 1, Log: "test"}})
		expect(t, again.seen(), "stream_open", "user_list:[ada]", "chat_message:2")
	})
}

func TestPanicAtAControlEventClosesAllStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		log, forgotten := &logbook{}, false
		bus := NewMemory()
		h, err := New(ctx, log, &rooms{}, bus, Config{
			RingBytes: bigRing, Plain: true, Logger: slog.New(slog.DiscardHandler),
			Control: func(chat.ControlEvent) { panic("announcing a control event") },
			Renamed: func() { forgotten = true },
		})
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() { h.Run(ctx) })
		b := &bench{Hub: h, t: t, ctx: ctx, log: log, bus: bus}
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		e := log.commit(chat.Control)
		e.Type, e.Body = "control", `"user":3,"reason":"signed_out"}`
		log.events[0] = e
		before := panics.Total()
		b.publish([]chat.Event{e})
		panicked(t, before)
		if !forgotten {
			t.Error("credentials that may have ended are still cached")
		}
		expect(t, c.seen(), "stream_close", "end")
		cancel()
		running.Wait()
	})
}

// Each of these panics once in one of the hub's goroutines; a post made at that time is still delivered.
func TestHubContinuesAfterAPanic(t *testing.T) {
	for _, where := range []struct {
		name  string
		panic func(b *bench)
	}{
		{"an ephemeral event from the bus", func(b *bench) {
			b.poison()
			b.Publish(lobby, chat.Ephemeral{Type: "user_typing", JSON: []byte(`{"type":"user_typing"}`)})
		}},
		{"an invalid presence update", func(b *bench) { b.bus.Send(Message{Presence: &PresenceUpdate{Kind: came, Node: "x"}}); b.clearNodes() }},
		{"polling the log", func(b *bench) { b.log.shake(1); time.Sleep(time.Second) }},
		{"a read that the bus causes, and the next one", func(b *bench) { b.log.shake(2); b.bus.Send(Message{}) }},
		{"a gap in the ids", func(b *bench) { b.log.commit(dev); b.log.shake(1); b.post(dev); time.Sleep(gapGrace) }},
		{"the clock: a departed user", func(b *bench) {
			b.mu.Lock()
			b.departures = append(b.departures, &departure{until: time.Now()})
			b.mu.Unlock()
			time.Sleep(3 * time.Second / 2)
			b.mu.Lock()
			b.departures = nil
			b.mu.Unlock()
		}},
		{"the clock: a stalled stream", func(b *bench) {
			s := &Stream{hub: b.Hub, conn: evilConn{}, framer: SSE, closing: "x"}
			s.state.Store(busy)
			b.stalls.mu.Lock()
			b.stalls.of = map[*Stream]stall{s: {since: time.Unix(1, 0)}}
			b.stalls.mu.Unlock()
			time.Sleep(3 * time.Second / 2)
			b.stalls.end(s)
		}},
	} {
		t.Run(where.name, func(t *testing.T) {
			inBubble(t, bigRing, func(b *bench) {
				b.Hub.nodes = nil // a presence update from another node panics
				c := b.open("ada", Request{Rooms: []string{"lobby"}})
				c.seen()
				before := panics.Total()
				where.panic(b)
				panicked(t, before)
				b.post(lobby)
				time.Sleep(gapGrace)
				got := c.seen()
				for len(got) == 0 || got[len(got)-1] == "end" { // it was asked to reconnect, and resumes
					c = b.open("ada", Request{Rooms: []string{"lobby"}, Cursor: &chat.Cursor{Log: "test"}})
					got = c.seen()
				}
				want := "chat_message:1"
				if n := len(b.log.events); n > 1 {
					want = "chat_message:3"
				}
				if got[len(got)-1] != want {
					t.Errorf("got %q, want %s in the end", got, want)
				}
				time.Sleep(pingEvery + time.Second)
				if got := c.seen(); len(got) == 0 || got[len(got)-1] != "ping" {
					t.Errorf("the clock brings %q, want a ping", got)
				}
			})
		})
	}
}

// clearNodes waits until a presence update has arrived.
func (b *bench) clearNodes() {
	synctest.Wait()
	b.mu.Lock() // the panic must have released it
	defer b.mu.Unlock()
	b.Hub.nodes = make(map[string]*node)
}

// evilConn panics when it is closed.
type evilConn struct{ net.Conn }

func (evilConn) Close() error { panic("closing a connection") }

func TestPanickingOpeningLeavesNothingBehind(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		b.acc.onCheck = func() { panic("a check of access") }
		if panics.Do(slog.New(slog.DiscardHandler), "opening", func() { b.open("ada", Request{Rooms: []string{"lobby"}}) }) {
			t.Error("opening did not panic: this run tests nothing")
		}
		b.acc.onCheck = nil
		b.mu.Lock()
		if b.streams.count != 0 || b.opening != 0 || len(b.users) != 0 {
			t.Errorf("%d streams, %d opening, %d users left", b.streams.count, b.opening, len(b.users))
		}
		b.mu.Unlock()

		b.log.shake(1)
		if _, err := b.Open(b.ctx, chat.Viewer{User: 3, Name: "ada"}, SSE, Request{}); !errors.Is(err, errReadFailed) {
			t.Errorf("opening while the head's read panics: got %v, want errReadFailed", err)
		}
		expect(t, b.open("ada", Request{Rooms: []string{"lobby"}}).seen(), "stream_open", "user_list:[ada]")
	})
}

// evilFramer panics at messages.
type evilFramer struct{ Framer }

func (f evilFramer) Frame(dst []byte, typ string, c chat.Cursor, json []byte) []byte {
	if typ == chat.TypeChatMessage {
		panic("framing a message")
	}
	return f.Framer.Frame(dst, typ, c, json)
}

func TestPanicInAStreamEndsThatStream(t *testing.T) {
	for _, ringBytes := range []int{bigRing, 0} { // from memory, and from the log
		inBubble(t, ringBytes, func(b *bench) {
			s, err := b.Open(b.ctx, chat.Viewer{User: 9, Name: "writer"}, evilFramer{NDJSON}, Request{Rooms: []string{"lobby"}})
			if err != nil {
				t.Fatal(err)
			}
			near, far := net.Pipe()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				s.Serve(near, func() error { return readAll(near) })
			}()
			go func() { _ = readAll(far) }()
			other := b.open("ada", Request{Rooms: []string{"lobby"}})
			other.seen()
			before := panics.Total()
			b.post(lobby)
			panicked(t, before)
			<-ended
			expect(t, other.seen(), "chat_message:1")
			time.Sleep(grace + time.Second)
			expectLast(t, other.seen(), "user_leave:writer", "user_list:[ada]")

			s, err = b.Open(b.ctx, chat.Viewer{User: 9, Name: "reader"}, SSE, Request{Rooms: []string{"lobby"}})
			if err != nil {
				t.Fatal(err)
			}
			near, far = net.Pipe()
			go func() { _ = readAll(far) }()
			before = panics.Total()
			s.Serve(near, func() error { panic("reading a client") })
			panicked(t, before)
			time.Sleep(grace + time.Second)
			expectLast(t, other.seen(), "user_leave:reader", "user_list:[ada]")
		})
	}
}

// expectLast: without a ring the list replaces joins and leaves.
func expectLast(t *testing.T, got []string, ringed, listed string) {
	t.Helper()
	if len(got) == 0 || got[len(got)-1] != ringed && got[len(got)-1] != listed {
		t.Errorf("got %q, want %q or %q in the end", got, ringed, listed)
	}
}

func readAll(c net.Conn) error {
	b := make([]byte, 512)
	for {
		if _, err := c.Read(b); err != nil {
			return err
		}
	}
}

func TestPanicInACommandClosesItsSocket(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		s, err := b.Open(b.ctx, chat.Viewer{User: 3, Name: "ada"}, WebSocket, Request{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Drop()
		c := commands{stream: s, handle: func(context.Context, []byte) ([]byte, error) { panic("answering a frame") }}
		c.put([]byte("{}"))
		c.wait()
		want := appendWSFrame(nil, websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseInternalServerErr, "the server failed"))
		s.mu.Lock()
		defer s.mu.Unlock()
		if string(s.ending) != string(want) {
			t.Errorf("the socket ends with %q, want a close frame of 1011", s.ending)
		}
	})
}

// shakyBus panics once in Receive, and at the second presence update of the kind alive.
type shakyBus struct {
	*Memory
	mu    sync.Mutex
	alive int
	began int
}

func (s *shakyBus) Receive(ctx context.Context, f func(Message)) {
	s.mu.Lock()
	s.began++
	first := s.began == 1
	s.mu.Unlock()
	if first {
		panic("receiving")
	}
	s.Memory.Receive(ctx, f)
}

func (s *shakyBus) Send(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Presence != nil && m.Presence.Kind == alive {
		if s.alive++; s.alive == 2 { // the first of the clock's
			panic("sending")
		}
	}
	s.Memory.Send(m)
}

func TestPanicsOfTheBusEndNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		bus, log := &shakyBus{Memory: NewMemory()}, &logbook{}
		h, err := New(ctx, log, &rooms{}, bus, Config{RingBytes: bigRing, Plain: true, Logger: slog.New(slog.DiscardHandler), Node: "a"})
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() { h.Run(ctx) })
		time.Sleep(2 * time.Second) // the hub receives from the bus again
		b := &bench{Hub: h, t: t, ctx: ctx, log: log, bus: bus.Memory}
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		b.post(lobby)
		expect(t, c.seen(), "chat_message:1")
		time.Sleep(5 * aliveEvery)
		bus.mu.Lock()
		if bus.alive < 4 {
			t.Errorf("the node sent alive %d times, want it to continue after the panic", bus.alive)
		}
		bus.mu.Unlock()
		drain, cancelDrain := context.WithTimeout(ctx, 5*time.Second)
		h.Drain(drain)
		cancelDrain()
		cancel()
		running.Wait()
	})
}
