package realtime

import (
	"bufio"
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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/chat"
	"tandem/panics"
)

// patience bounds waits for what should happen at once; it is not a performance threshold.
const patience = 2 * time.Minute

// noRing is a ring that holds one event at most.
const noRing = 1

// polledBench is a hub that serves streams over TCP with its poller.
type polledBench struct {
	*bench
	listener net.Listener
}

// onSockets runs f with a hub, and checks that its streams and goroutines end, and its descriptors are closed.
func onSockets(t *testing.T, ringBytes int, f func(b *polledBench)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := &bench{t: t, ctx: ctx, log: &logbook{}, acc: &rooms{}, bus: NewMemory()}
	var err error
	if b.Hub, err = New(ctx, b.log, b.acc, b.bus, Config{RingBytes: ringBytes, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	small := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 40<<10) })
		return err
	}}
	l, err := small.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	f(&polledBench{b, l})
	drain, cancelDrain := context.WithTimeout(ctx, 2*time.Second)
	b.Drain(drain)
	cancelDrain()
	for fd, c := range b.poller.conns {
		if c != nil {
			t.Errorf("descriptor %d is still open", fd)
		}
	}
	// The sweep that finds a full connection closed may come shortly after the end of its stream.
	eventually(t, "no stream counts as stalled", func() bool { return len(b.stalls.all()) == 0 })
	cancel()
	<-done
}

// connect opens a user's stream over a new connection; the client reads nothing yet.
func (b *polledBench) connect(user int64, f Framer, commands Commands, rooms ...string) (*Stream, *net.TCPConn) {
	b.t.Helper()
	near, far := b.pair()
	s, err := b.Open(b.ctx, chat.Viewer{User: user, Name: fmt.Sprint("user", user)}, f, Request{Rooms: rooms})
	if err != nil {
		b.t.Fatal(err)
	}
	if !b.poller.take(s, near, commands) {
		b.t.Fatal("poller refused the connection")
	}
	return s, far
}

func (b *polledBench) pair() (near, far *net.TCPConn) {
	b.t.Helper()
	c, err := net.Dial("tcp4", b.listener.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	n, err := b.listener.Accept()
	if err != nil {
		b.t.Fatal(err)
	}
	return n.(*net.TCPConn), c.(*net.TCPConn)
}

// postText posts a text that names its room.
func (b *polledBench) postText(room, text string) {
	b.log.mu.Lock()
	e := chat.Event{ID: int64(len(b.log.events) + 1), Topic: chat.RoomTopic(int64(len(room))), Type: chat.TypeChatMessage,
		Body: fmt.Sprintf(`"room":%q,"message":%q}`, room, text)}
	b.log.events = append(b.log.events, e)
	b.log.mu.Unlock()
	b.publish([]chat.Event{e})
}

// lines reads NDJSON until last reports true for an event, or the connection ends.
func lines(c net.Conn, last func(e event) bool) (events []event, err error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	in := bufio.NewScanner(c)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var e event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			return events, fmt.Errorf("%w in %.80q", err, in.Bytes())
		}
		if events = append(events, e); last(e) {
			return events, nil
		}
	}
	if err := in.Err(); err != nil {
		return events, err
	}
	return events, io.EOF
}

type event struct {
	Type, Room, Message, Reason string
	ID                          int64
}

func says(text string) func(event) bool { return func(e event) bool { return e.Message == text } }

// messages returns the ids of the messages among events.
func messages(events []event) (ids []int64) {
	for _, e := range events {
		if e.Type == chat.TypeChatMessage {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func upTo(n int) (ids []int64) {
	for i := range n {
		ids = append(ids, int64(i+1))
	}
	return ids
}

// eventually waits until what is true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("timed out waiting until " + what)
		}
	}
}

func (b *polledBench) open() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.streams.count
}

// isFull reports whether a stream waits for space in its socket.
func (b *polledBench) isFull(s *Stream) bool { _, is := b.stalls.all()[s]; return is }

// A full socket accepts part of a write, or nothing: the rest follows when there is space, each byte once, even if
// more events arrive meanwhile. Other streams do not wait. With a small ring the events that arrive meanwhile are read
// from the log.
func TestFullSocketContinuesOnceWritable(t *testing.T) {
	for _, ringBytes := range []int{64 << 20, 100_000} {
		t.Run(fmt.Sprint("ring of ", ringBytes), func(t *testing.T) {
			onSockets(t, ringBytes, func(b *polledBench) {
				slow, far := b.connect(1, NDJSON, nil, "lobby")
				if err := far.SetReadBuffer(64 << 10); err != nil {
					t.Fatal(err)
				}
				_, other := b.connect(2, NDJSON, nil, "lobby")
				const n = 800
				for i := range n - 1 {
					b.postText("lobby", fmt.Sprint(i, strings.Repeat("x", 4000)))
				}
				b.postText("lobby", "the end")
				events, err := lines(other, says("the end"))
				if got := messages(events); err != nil || !slices.Equal(got, upTo(n)) {
					t.Fatalf("other reader got %d messages, %v", len(got), err)
				}
				eventually(t, "the slow reader's socket is full", func() bool { return b.isFull(slow) })
				goroutines := runtime.NumGoroutine()
				for range 200 {
					slow.wake() // disturbs nothing
				}
				if more := runtime.NumGoroutine() - goroutines; more > mostSweepers() {
					t.Errorf("stalled stream uses %d goroutines", more)
				}
				b.postText("lobby", "after all")
				events, err = lines(far, says("after all"))
				if got := messages(events); err != nil || !slices.Equal(got, upTo(n+1)) {
					t.Errorf("slow reader got %d messages, %v", len(got), err)
				}
				eventually(t, "the reader no longer stalls", func() bool { return !b.isFull(slow) })
			})
		})
	}
}

// A client that leaves while its stream reads the log delays no other stream.
func TestReadingTheLogDelaysNoOtherStream(t *testing.T) {
	onSockets(t, noRing, func(b *polledBench) {
		slow, leaving := b.connect(1, NDJSON, nil, "lobby")
		_, other := b.connect(2, NDJSON, nil, "den")
		reading, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		b.log.mu.Lock()
		b.log.onRead = func(topics []chat.TopicSince) {
			if slices.ContainsFunc(topics, func(t chat.TopicSince) bool { return t.Topic == chat.RoomTopic(int64(len("lobby"))) }) {
				once.Do(func() { close(reading) })
				<-release
			}
		}
		b.log.mu.Unlock()
		b.postText("lobby", "from the log")
		<-reading
		_ = leaving.Close()
		eventually(t, "the server has closed its side", func() bool {
			c := slow.conn.(*polled)
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.fd < 0
		})
		b.postText("den", "to others")
		if _, err := lines(other, says("to others")); err != nil {
			t.Errorf("the other reader got no event: %v", err)
		}
		close(release)
	})
}

// Of a crowd that must read the log, only so many streams do so at once.
func TestCrowdReadsTheLogInTurns(t *testing.T) {
	onSockets(t, noRing, func(b *polledBench) {
		const crowd = 2 * mostReaders
		var fars []*net.TCPConn
		for i := range crowd {
			_, far := b.connect(int64(i+1), NDJSON, nil, "lobby")
			fars = append(fars, far)
		}
		var reading, most atomic.Int64
		var once sync.Once
		full := make(chan struct{})
		b.log.mu.Lock()
		b.log.onRead = func([]chat.TopicSince) {
			n := reading.Add(1)
			defer reading.Add(-1)
			for is := most.Load(); n > is && !most.CompareAndSwap(is, n); is = most.Load() {
			}
			if n == mostReaders {
				once.Do(func() { close(full) })
			}
			<-full
			runtime.Gosched()
		}
		b.log.mu.Unlock()
		b.postText("lobby", "from the log")
		for i, far := range fars {
			if _, err := lines(far, says("from the log")); err != nil {
				t.Fatalf("reader %d: %v", i, err)
			}
		}
		if most.Load() != mostReaders {
			t.Errorf("%d streams read the log at once, want %d", most.Load(), mostReaders)
		}
	})
}

// A stream that must read the log is pinged too, even if the log has nothing for it.
func TestStreamsBehindTheRingArePinged(t *testing.T) {
	onSockets(t, noRing, func(b *polledBench) {
		s, far := b.connect(1, NDJSON, nil, "den")
		b.postText("lobby", "to others")
		s.pingNow()
		if _, err := lines(far, func(e event) bool { return e.Type == "ping" }); err != nil {
			t.Error(err)
		}
	})
}

// A stalled reader that is cut ends, even if another goroutine waits to send control frames to it.
func TestCutEndsAFullSocketAndItsWaiters(t *testing.T) {
	onSockets(t, bigRing, func(b *polledBench) {
		s, far := b.connect(1, WebSocket, func(chat.Viewer) Handler { return nil }, "lobby")
		_ = far.SetReadBuffer(64 << 10)
		for range 100 {
			b.postText("lobby", strings.Repeat("x", 16_000))
		}
		eventually(t, "the socket is full", func() bool { return b.isFull(s) })
		sending := make(chan struct{})
		go func() {
			defer close(sending)
			for s.Send(make([]byte, maxControl)) {
			}
		}()
		eventually(t, "a caller waits in Send", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.full != nil })
		s.cut()
		<-sending
		eventually(t, "the stream is gone", func() bool { return b.open() == 0 })
	})
}

// Peers vanish at once, in the middle of sweeps: the others get everything, and nothing is left of those that vanished.
func TestThousandStreamsVanishDuringSweeps(t *testing.T) {
	onSockets(t, bigRing, func(b *polledBench) {
		const stay, vanish = 20, 1000
		var all sync.WaitGroup
		for i := range stay {
			_, far := b.connect(int64(i+1), NDJSON, nil, "lobby")
			all.Go(func() {
				events, err := lines(far, says("the end"))
				if got := messages(events); err != nil || !slices.Equal(got, upTo(400)) {
					t.Errorf("remaining reader got %d messages, %v", len(got), err)
				}
			})
		}
		var gone []*net.TCPConn
		for range vanish {
			_, far := b.connect(999, NDJSON, nil, "lobby") // one user, so that there is no presence
			_ = far.SetLinger(0)                           // a reset, not a clean close
			gone = append(gone, far)
		}
		all.Go(func() {
			for i := range 399 {
				b.postText("lobby", fmt.Sprint(i))
				time.Sleep(100 * time.Microsecond)
			}
			b.postText("lobby", "the end")
		})
		time.Sleep(5 * time.Millisecond)
		for _, far := range gone {
			all.Go(func() { _ = far.Close() })
		}
		all.Wait()
		eventually(t, "the vanished streams are dropped", func() bool { return b.open() == stay })
	})
}

// A peer that only closes its sending side has left, like one that resets the connection.
func TestHalfClosedPeerHasLeft(t *testing.T) {
	for _, f := range []Framer{NDJSON, WebSocket} {
		onSockets(t, bigRing, func(b *polledBench) {
			var commands Commands
			if f == WebSocket {
				commands = func(chat.Viewer) Handler { return nil }
			}
			_, far := b.connect(1, f, commands, "lobby")
			_ = far.CloseWrite()
			_ = far.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, far); err != nil {
				t.Errorf("%s: connection ended with %v", f.Format(), err)
			}
			eventually(t, "the stream is gone", func() bool { return b.open() == 0 })
		})
	}
}

// A closed descriptor's number is soon reused by another connection: late events and writes for the old one do not
// reach the new one.
func TestReusedDescriptors(t *testing.T) {
	onSockets(t, bigRing, func(b *polledBench) {
		old, far := b.connect(1, NDJSON, nil, "one")
		was := old.conn.(*polled).fd
		stale := []unix.EpollEvent{{Events: unix.EPOLLIN, Fd: was, Pad: old.conn.(*polled).generation}}
		found := make([]*polled, 1)
		if b.poller.find(stale, found); found[0] != old.conn {
			t.Fatal("poll event does not find its connection")
		}
		near, _ := b.pair()
		next, err := b.Open(b.ctx, chat.Viewer{}, NDJSON, Request{Rooms: []string{"three"}})
		if err != nil {
			t.Fatal(err)
		}
		_ = far.Close()
		eventually(t, "the stream is gone", func() bool { return b.open() == 1 })
		for taken := -1; taken != int(was); { // the next connection gets the lowest free number
			if taken, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil || taken > int(was) {
				t.Fatalf("descriptor %d is not free: %v", was, err)
			}
			if taken == int(was) {
				_ = unix.Close(taken)
			} else {
				defer func() { _ = unix.Close(taken) }()
			}
		}
		if !b.poller.take(next, near, nil) || next.conn.(*polled).fd != was {
			t.Fatal("next connection has a different descriptor")
		}
		if b.poller.find(stale, found); found[0] != nil {
			t.Error("late poll event finds the new owner of the descriptor")
		}
		if n, err := old.conn.(*polled).write([]byte("late")); n != 0 || err == nil {
			t.Errorf("late write of the old stream = %d, %v, want an error", n, err)
		}
	})
}

// Streams open and close while all are written to: no stream ever gets another's bytes.
func TestNoStreamGetsAnothersBytes(t *testing.T) {
	onSockets(t, bigRing, func(b *polledBench) {
		stop := make(chan struct{})
		var all sync.WaitGroup
		names := []string{"a", "bb", "ccc", "dddd"}
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Microsecond):
					b.postText(names[i%len(names)], "hi")
				}
			}
		})
		for round := range 200 {
			var reading sync.WaitGroup
			for i, room := range names {
				_, far := b.connect(int64(i+1), NDJSON, nil, room)
				reading.Go(func() {
					events, err := lines(far, func(e event) bool { return e.Type == chat.TypeChatMessage })
					if err != nil {
						t.Errorf("round %d of %s: %v", round, room, err)
					}
					for _, e := range events {
						if e.Room != "" && e.Room != room {
							t.Errorf("reader of %s got an event of %s", room, e.Room)
						}
					}
					if round%2 == 0 {
						_ = far.SetLinger(0)
					}
					_ = far.Close()
				})
			}
			reading.Wait()
		}
		close(stop)
		all.Wait()
	})
}

// A thousand streams, some of them stalled, get the reason for their end and end; the last ones are cut in time.
func TestDrainOfAThousandStreams(t *testing.T) {
	onSockets(t, 64<<20, func(b *polledBench) {
		const stalled, reading = 10, 1000
		var full []*Stream
		for range stalled {
			s, far := b.connect(1, NDJSON, nil, "lobby")
			_ = far.SetReadBuffer(64 << 10)
			full = append(full, s)
		}
		for i := range 100 {
			b.postText("lobby", fmt.Sprint(i, strings.Repeat("x", 16_000)))
		}
		for _, s := range full {
			eventually(t, "its socket is full", func() bool { return b.isFull(s) })
		}
		var all sync.WaitGroup
		for range reading {
			_, far := b.connect(2, NDJSON, nil, "lobby")
			all.Go(func() {
				events, err := lines(far, func(event) bool { return false })
				if n := len(events); err != io.EOF || n == 0 || events[n-1].Type != "stream_close" || events[n-1].Reason != chat.CloseRestart {
					t.Errorf("a stream ended with %v, %v", events[max(0, n-1):], err)
				}
				_ = far.Close()
			})
		}
		ctx, cancel := context.WithTimeout(b.ctx, 3*time.Second)
		defer cancel()
		b.Drain(ctx)
		all.Wait()
		if b.open() != 0 {
			t.Errorf("%d streams open, want none", b.open())
		}
	})
}

// A panic while a stream is written or read ends only that stream.
func TestPanicInASweepEndsThatStream(t *testing.T) {
	onSockets(t, bigRing, func(b *polledBench) {
		_, evil := b.connect(1, evilFramer{SSE}, nil, "lobby")
		_, writes := b.connect(2, WebSocket, func(chat.Viewer) Handler { panic("making a handler") }, "lobby")
		_, other := b.connect(3, NDJSON, nil, "lobby")
		before := panics.Total()
		b.postText("lobby", "bang")
		if _, err := lines(other, says("bang")); err != nil {
			t.Error(err)
		}
		_ = evil.SetReadDeadline(time.Now().Add(patience))
		if got, err := io.ReadAll(evil); err != nil || strings.Contains(string(got), "bang") {
			t.Errorf("stream with a panicking framer got %s, %v", got, err)
		}
		if _, err := writes.Write([]byte{0x81, 0x80, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "both streams are dropped", func() bool { return b.open() == 1 })
		if n := panics.Total() - before; n != 2 {
			t.Errorf("%d panics, want 2", n)
		}
		b.postText("lobby", "on")
		if _, err := lines(other, says("on")); err != nil {
			t.Error(err)
		}
	})
}

// Control frames count against the limit, however often the client pauses.
func TestPausesDoNotResetTheFrameLimit(t *testing.T) {
	onSockets(t, bigRing, func(b *polledBench) {
		s, far := b.connect(1, WebSocket, func(chat.Viewer) Handler { return nil }, "lobby")
		go func() { _, _ = io.Copy(io.Discard, far) }()
		c := s.conn.(*polled)
		ping := []byte{0x89, 0x80, 0, 0, 0, 0}
		paid := func() int64 { // when nothing is read
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.reading || c.peer != nil {
				return 0
			}
			return c.paid
		}
		if _, err := far.Write(ping); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the ping is counted", func() bool { return paid() > 0 })
		c.mu.Lock()
		c.paid = time.Now().Add(time.Hour).UnixNano() // the same as after many
		c.mu.Unlock()
		if _, err := far.Write(ping); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the flooding client is dropped", func() bool { return b.open() == 0 })
	})
}
