package realtime

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tandem/chat"
)

// logbook is a Log in memory. The test controls each commit and publication.
type logbook struct {
	mu      sync.Mutex
	events  []chat.Event
	reads   int // of ReadAll: what the hub had to read
	onRead  func(topics []chat.TopicSince)
	failing bool
	held    chan struct{} // Head waits until it is closed; nil: not at all
	shaky   int           // this many more reads panic
	name    string        // "" means test
	shared  int64
}

func (l *logbook) commit(topic chat.Topic) chat.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := chat.Event{ID: int64(len(l.events) + 1), Topic: topic, Type: chat.TypeChatMessage, Body: `"message":"hi"}`}
	l.events = append(l.events, e)
	return e
}

// shake makes the next n reads panic.
func (l *logbook) shake(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shaky = n
}

func (l *logbook) mayPanic() {
	if l.shaky > 0 {
		l.shaky--
		panic("a read of the log")
	}
}

func (l *logbook) fail(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = yes
}

func (l *logbook) Head(context.Context) (chat.LogState, error) {
	if l.held != nil {
		<-l.held
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mayPanic()
	if l.failing {
		return chat.LogState{}, chat.ErrUnavailable
	}
	return chat.LogState{Name: cmp.Or(l.name, "test"), Floor: 1, Head: int64(len(l.events))}, nil
}

func (l *logbook) Read(_ context.Context, topics []chat.TopicSince, upto int64, limit int) (found []chat.Event, err error) {
	l.mu.Lock()
	defer func() {
		onRead := l.onRead
		l.mu.Unlock()
		if onRead != nil {
			onRead(topics)
		}
	}()
	if l.failing {
		return nil, chat.ErrUnavailable
	}
	for _, e := range l.events {
		mine := slices.ContainsFunc(topics, func(t chat.TopicSince) bool {
			return (t.Topic == e.Topic || t.Topic == e.Also) && e.ID > t.After
		})
		if mine && e.ID <= upto && len(found) < limit {
			found = append(found, e)
		}
	}
	return found, nil
}

func (l *logbook) ReadAll(_ context.Context, after, upto int64, limit int) ([]chat.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mayPanic()
	l.reads++
	return slices.Clone(l.events[after:min(upto, after+int64(limit))]), nil
}

func (l *logbook) Start(context.Context, chat.Topic, int) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing {
		return 0, chat.ErrUnavailable
	}
	return 0, nil
}

func (l *logbook) Shared(context.Context, string) (int64, error) { return l.shared, nil }

func (l *logbook) RoomFloors(context.Context) (map[int64]int64, error) { return map[int64]int64{}, nil }

func (l *logbook) Invisible(context.Context) ([]int64, error) { return nil, nil }

func (l *logbook) WasAnother(context.Context, string, int64) (bool, error) { return false, nil }

// rename simulates a takeover by another database.
func (l *logbook) rename(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name = name
}

// rooms is an Access that allows everything; a room's number is the length of its name. onCheck runs in each check.
type rooms struct {
	onCheck func()
	members []chat.Membership // for every user
}

func (a *rooms) Memberships(context.Context, chat.Viewer) ([]chat.Membership, error) {
	return a.members, nil
}

func (a *rooms) OpenRoom(context.Context, string) (chat.Room, error) {
	return chat.Room{}, chat.ErrRoomNotFound
}

func (a *rooms) Follow(_ context.Context, _ chat.Viewer, names []string, _ chat.OpenRooms) (may []chat.Room, _ []string, _ error) {
	if a.onCheck != nil {
		a.onCheck()
	}
	for _, n := range names {
		may = append(may, chat.Room{ID: int64(len(n)), Name: n})
	}
	return may, nil, nil
}

var lobby = chat.RoomTopic(int64(len("lobby")))

// bench is a hub under test in a synctest bubble.
type bench struct {
	*Hub
	t   *testing.T
	ctx context.Context
	log *logbook
	acc *rooms
	bus *Memory
}

// inBubble runs f with a hub, and checks that everything ends.
func inBubble(t *testing.T, ringBytes int, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		b := &bench{t: t, ctx: ctx, log: &logbook{}, acc: &rooms{}, bus: NewMemory()}
		var err error
		b.Hub, err = New(ctx, b.log, b.acc, b.bus, Config{RingBytes: ringBytes, Plain: true, Logger: slog.New(slog.DiscardHandler), Control: func(chat.ControlEvent) {}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); b.Run(ctx) }()
		f(b)
		drain, cancelDrain := context.WithTimeout(ctx, 5*time.Second)
		b.Drain(drain)
		cancelDrain()
		cancel()
		<-done
	})
}

func (b *bench) publish(events []chat.Event) {
	b.bus.Send(Message{Commit: &Commit{Log: "test", Events: events}})
}

func (b *bench) post(topic chat.Topic) { b.publish([]chat.Event{b.log.commit(topic)}) }

// client is the other end of a stream served over a pipe.
type client struct {
	conn   net.Conn
	events chan string // type, or type:id
	raw    chan map[string]any
}

func (b *bench) open(user string, r Request) *client {
	b.t.Helper()
	s, err := b.Open(b.ctx, chat.Viewer{User: int64(len(user)), Name: user}, SSE, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return serve(s)
}

func serve(s *Stream) *client {
	now := make(chan struct{})
	close(now)
	return serveAfter(s, now)
}

// serveAfter is like serve, with a client that reads nothing until reads is closed.
func serveAfter(s *Stream, reads <-chan struct{}) *client {
	near, far := net.Pipe()
	go s.Serve(near, func() error { _, err := io.Copy(io.Discard, near); return err })
	c := &client{conn: far, events: make(chan string, 10_000), raw: make(chan map[string]any, 10_000)}
	go func() {
		defer close(c.events)
		<-reads
		lines := bufio.NewScanner(far)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var e map[string]any
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				panic(err)
			}
			name := e["type"].(string)
			if id, ok := e["id"]; ok {
				name = fmt.Sprintf("%s:%v", name, id)
			} else if user, ok := e["user"]; ok && name != "stream_open" {
				name = fmt.Sprintf("%s:%v", name, user)
			} else if users, ok := e["users"]; ok {
				name = fmt.Sprintf("%s:%v", name, users)
			}
			c.raw <- e
			c.events <- name
		}
	}()
	return c
}

// seen returns what has arrived once nothing more happens without time passing.
func (c *client) seen() (events []string) {
	synctest.Wait()
	for {
		select {
		case e, ok := <-c.events:
			if !ok {
				return append(events, "end")
			}
			events = append(events, e)
		default:
			return events
		}
	}
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

const bigRing = 1 << 20

func TestHoleIsReadFromTheLog(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		b.post(lobby)
		b.log.commit(lobby) // the bus loses 2
		b.post(lobby)
		expect(t, c.seen(), "chat_message:1")
		time.Sleep(gapGrace)
		expect(t, c.seen(), "chat_message:2", "chat_message:3")
	})
}

func TestLateEventsNeedNoRead(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		one, two, three := b.log.commit(lobby), b.log.commit(lobby), b.log.commit(lobby)
		b.publish([]chat.Event{three})
		b.publish([]chat.Event{two, two})
		expect(t, c.seen())
		b.publish([]chat.Event{one})
		b.publish([]chat.Event{one, two})
		expect(t, c.seen(), "chat_message:1", "chat_message:2", "chat_message:3")
		time.Sleep(time.Second)
		if b.log.reads != 0 {
			t.Errorf("hub read the log %d times, want 0: no event was missing", b.log.reads)
		}
	})
}

func TestLookFindsWhatTheBusMissed(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		b.log.commit(lobby)
		time.Sleep(time.Second + time.Second)
		expect(t, c.seen(), "chat_message:1")
	})
}

func TestOverflowingBusReportsIt(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		b.in.Lock() // the hub cannot receive yet
		for range cap(b.bus.queue) + 10 {
			b.post(lobby)
		}
		b.in.Unlock()
		synctest.Wait()
		if got := len(c.seen()); got != cap(b.bus.queue)+10 {
			t.Errorf("got %d events without time passing, want all %d", got, cap(b.bus.queue)+10)
		}
	})
}

// Whatever happens while a stream is being opened reaches it, without a later event.
func TestAttachPrecedesCheckAndReplay(t *testing.T) {
	for _, ring := range []int{0, bigRing} {
		t.Run(fmt.Sprint("ring ", ring), func(t *testing.T) {
			inBubble(t, ring, func(b *bench) {
				b.post(lobby)
				synctest.Wait()
				b.acc.onCheck = func() { b.post(lobby); synctest.Wait(); b.acc.onCheck = nil }
				c := b.open("ada", Request{Rooms: []string{"lobby"}, Cursor: &chat.Cursor{ID: 0, Log: "test"}})
				expect(t, c.seen(), "stream_open", "user_list:[ada]", "chat_message:1", "chat_message:2")
			})
		})
	}
}

func TestEventsDuringTheReplayFollowIt(t *testing.T) {
	inBubble(t, 0, func(b *bench) {
		b.post(lobby)
		synctest.Wait()
		posted := 0
		b.log.onRead = func([]chat.TopicSince) {
			if posted++; posted <= 3 {
				b.post(lobby)
			}
		}
		c := b.open("ada", Request{Rooms: []string{"lobby"}, Cursor: &chat.Cursor{ID: 0}})
		expect(t, c.seen(), "stream_open", "user_list:[ada]", "chat_message:1", "chat_message:2", "chat_message:3", "chat_message:4")
	})
}

func TestNoEventAtOrBelowTheCursor(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		for range 5 {
			b.log.commit(lobby) // the hub does not have them yet: it is behind the database
		}
		c := b.open("ada", Request{Rooms: []string{"lobby"}, Cursor: &chat.Cursor{ID: 4}})
		time.Sleep(time.Second)
		expect(t, c.seen(), "stream_open", "user_list:[ada]", "chat_message:5")
	})
}

func TestCursorsThatCannotBeHonoured(t *testing.T) {
	for _, tt := range []struct {
		name   string
		r      Request
		reason string
	}{
		{"other log", Request{Cursor: &chat.Cursor{ID: 1, Log: "other"}}, chat.ResetOtherLog},
		{"ahead", Request{Cursor: &chat.Cursor{ID: 2, Log: "test"}}, chat.ResetAheadOfHead},
		{"malformed", Request{Malformed: true}, chat.ResetMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, bigRing, func(b *bench) {
				b.post(lobby)
				synctest.Wait()
				tt.r.Rooms = []string{"lobby"}
				c := b.open("ada", tt.r)
				b.post(lobby)
				expect(t, c.seen(), "stream_open", "user_list:[ada]", "stream_reset", "chat_message:2")
				open := <-c.raw
				if open["resumed"] != false || open["since"] != "1.test" {
					t.Errorf("stream_open = %v", open)
				}
				<-c.raw
				if reset := <-c.raw; reset["reason"] != tt.reason || reset["head"] != 1.0 || reset["floor"] != 1.0 {
					t.Errorf("stream_reset = %v", reset)
				}
			})
		})
	}
}

func TestEventOfTwoTopicsArrivesOnce(t *testing.T) {
	for _, ring := range []int{0, bigRing} {
		inBubble(t, ring, func(b *bench) {
			c := b.open("ada", Request{Rooms: []string{"lobby"}})
			inbox := b.open("ada", Request{})
			c.seen()
			inbox.seen()
			b.log.events = append(b.log.events, chat.Event{ID: 1, Topic: lobby, Also: chat.InboxTopic(3), Type: "member_added", Body: `"x":1}`})
			b.publish(b.log.events[:1])
			expect(t, c.seen(), "member_added:1")
			expect(t, inbox.seen(), "member_added:1")
		})
	}
}

func TestUnreadableLogDelaysAndLosesNothing(t *testing.T) {
	inBubble(t, 0, func(b *bench) {
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		b.log.fail(true)
		b.post(lobby)
		time.Sleep(10 * time.Second)
		expect(t, c.seen())
		b.log.fail(false)
		time.Sleep(time.Second)
		expect(t, c.seen(), "chat_message:1")
	})
}

func TestPingsCarryThePosition(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		b.post(chat.RoomTopic(99)) // not followed, but skipped
		time.Sleep(2 * pingEvery)
		expect(t, c.seen(), "ping", "ping")
		<-c.raw
		<-c.raw
		if ping := <-c.raw; ping["since"] != "1.test" {
			t.Errorf("ping = %v", ping)
		}
	})
}

func TestTokenExpiryEndsTheStream(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		s, err := b.Open(b.ctx, chat.Viewer{User: 3, Name: "ada", Expires: time.Now().Add(5 * time.Second)}, SSE, Request{})
		if err != nil {
			t.Fatal(err)
		}
		c := serve(s)
		time.Sleep(4 * time.Second)
		expect(t, c.seen(), "stream_open")
		time.Sleep(2 * time.Second)
		b.post(chat.InboxTopic(3)) // too late
		expect(t, c.seen(), "stream_close", "end")
	})
}

// A reader that does not read is cut when a write has made no progress for the limit. Until then it delays nobody.
func TestStalledReaderDelaysNobodyAndIsCut(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		s, err := b.Open(b.ctx, chat.Viewer{User: 9, Name: "slow"}, SSE, Request{Rooms: []string{"lobby"}})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe() // unbuffered: the first write waits for a read that never happens
		defer far.Close()
		go s.Serve(near, func() error { _, err := io.Copy(io.Discard, near); return err })
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		b.post(lobby)
		expect(t, c.seen(), "chat_message:1")
		time.Sleep(time.Minute)
		expect(t, c.seen(), "ping", "ping", "user_leave:slow", "ping")
	})
}

func TestDrainNotifiesEveryStream(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		defer cancel()
		b.Drain(ctx)
		expect(t, c.seen(), "stream_close", "end")
		<-c.raw
		<-c.raw
		if e := <-c.raw; e["reason"] != "restart" || e["retry_ms"].(float64) < 500 {
			t.Errorf("stream_close = %v", e)
		}
		if _, err := b.Open(b.ctx, chat.Viewer{}, SSE, Request{}); err != ErrDraining {
			t.Errorf("opening while draining: got %v, want ErrDraining", err)
		}
	})
}

func TestDrainSendsWhatIsCommitted(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		c := b.open("ada", Request{Rooms: []string{"lobby"}})
		c.seen()
		b.log.commit(lobby) // the bus has not delivered it yet
		b.Drain(b.ctx)
		expect(t, c.seen(), "chat_message:1", "stream_close", "end")
	})
}

func TestDrainDoesNotWaitForALogThatHangs(t *testing.T) {
	log := &logbook{}
	h, err := New(t.Context(), log, &rooms{}, NewMemory(), Config{RingBytes: bigRing, Plain: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	log.held = make(chan struct{})
	defer close(log.held)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	h.Drain(ctx) // returns
}

// A post at any moment of an opening arrives without a later one: there is no gap between replay and live delivery.
func TestNoPostFallsBetweenReplayAndLive(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		for i := range int64(2000) {
			posted := make(chan struct{})
			go func() {
				defer close(posted)
				for range i % 50 {
					runtime.Gosched() // another moment each time
				}
				b.post(lobby)
			}()
			c := b.open("ada", Request{Rooms: []string{"lobby"}, Cursor: &chat.Cursor{ID: i}})
			<-posted
			if got, want := c.seen(), fmt.Sprint("chat_message:", i+1); len(got) != 3 || got[2] != want {
				t.Fatalf("got %q, want %s at last", got, want)
			}
			c.conn.Close()
		}
	})
}

// A stream whose credentials have ended gets nothing after that, whether live, behind, or just opening.
func TestControlEventsEndStreams(t *testing.T) {
	for _, ring := range []int{0, bigRing} {
		inBubble(t, ring, func(b *bench) {
			open := func(user, session int64) *client {
				s, err := b.Open(b.ctx, chat.Viewer{User: user, Session: session, Name: fmt.Sprint("u", user)}, SSE, Request{Rooms: []string{"lobby"}})
				if err != nil {
					t.Fatal(err)
				}
				return serve(s)
			}
			first, second, other := open(1, 11), open(1, 12), open(2, 21)
			for _, c := range []*client{first, second, other} {
				c.seen()
			}
			control := func(c chat.ControlEvent) chat.Event {
				e := b.log.commit(chat.Control)
				k := c.Event(1)
				e.Type, e.Body = k.Type, k.Body
				b.log.events[e.ID-1] = e
				return e
			}
			b.publish([]chat.Event{b.log.commit(lobby), control(chat.ControlEvent{Session: 11, Reason: chat.CloseSignedOut}), b.log.commit(lobby)})
			expectEnd(t, first.seen(), "chat_message:1", "chat_message:3")
			expect(t, second.seen(), "chat_message:1", "chat_message:3")
			b.publish([]chat.Event{control(chat.ControlEvent{User: 1}), b.log.commit(lobby)}) // changed, not ended
			expect(t, second.seen(), "chat_message:5")
			b.publish([]chat.Event{control(chat.ControlEvent{User: 1, Reason: chat.CloseDisabled}), b.log.commit(lobby)})
			expectEnd(t, second.seen(), "", "chat_message:7")
			expect(t, other.seen(), "chat_message:1", "chat_message:3", "chat_message:5", "chat_message:7")
		})
	}
}

// expectEnd expects a stream_close and the end, possibly after an event, never before one.
func expectEnd(t *testing.T, got []string, maybe, never string) {
	t.Helper()
	if n := len(got); n < 2 || got[n-2] != "stream_close" || got[n-1] != "end" || slices.Contains(got, never) ||
		slices.ContainsFunc(got[:n-2], func(e string) bool { return e != maybe }) {
		t.Errorf("end of the stream: got %q, want stream_close and end, without %s", got, never)
	}
}
