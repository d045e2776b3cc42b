package realtime

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tandem/chat"
)

// noRooms is Access for streams of the inbox only.
type noRooms struct{}

func (noRooms) Follow(context.Context, chat.Viewer, []string, chat.OpenRooms) ([]chat.Room, []string, error) {
	return nil, nil, nil
}

func (noRooms) OpenRoom(context.Context, string) (chat.Room, error) {
	return chat.Room{}, chat.ErrRoomNotFound
}

func (noRooms) Memberships(context.Context, chat.Viewer) ([]chat.Membership, error) {
	return nil, nil
}

// However many streams open at once, over both transports, a user never has more than the limit, and each that ends
// makes room for another.
func TestUserHasNoMoreStreamsThanAllowed(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		b.Hub.most, b.Hub.access = 5, noRooms{}
		ada, bob := chat.Viewer{User: 1, Name: "ada"}, chat.Viewer{User: 2, Name: "bob"}
		for round := range 3 {
			opened := make(chan *Stream, 100)
			var refused atomic.Int32
			var all sync.WaitGroup
			for i := range 100 {
				all.Go(func() {
					s, err := b.Open(b.ctx, ada, []Framer{WebSocket, SSE}[i%2], Request{})
					switch {
					case err == nil:
						opened <- s
					case errors.Is(err, ErrTooManyStreams):
						refused.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			all.Wait()
			if len(opened) != 5 || refused.Load() != 95 {
				t.Fatalf("round %d: %d streams opened, %d refused; want 5 and 95", round, len(opened), refused.Load())
			}
			other, err := b.Open(b.ctx, bob, SSE, Request{})
			if err != nil {
				t.Fatalf("another user: %v", err)
			}
			other.Drop()
			for range 5 {
				(<-opened).Drop()
			}
		}
		if len(b.Hub.users) != 0 {
			t.Errorf("users in the hub = %v, want none", b.Hub.users)
		}
	})
}

// A refused stream only reports the reason, and does not count against the limit.
func TestRefusedStreamReportsWhyAndEnds(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		s, err := b.Refuse(chat.Viewer{User: 3, Name: "ada"}, SSE)
		if err != nil {
			t.Fatal(err)
		}
		c := serve(s)
		expect(t, c.seen(), "stream_close", "end")
		e := <-c.raw
		if e["reason"] != "too_many_streams" || e["retry_ms"] != float64(RetryTooMany/time.Millisecond) {
			t.Errorf("the close = %v", e)
		}
		synctest.Wait()
		if b.Hub.streams.count != 0 || len(b.Hub.users) != 0 {
			t.Errorf("hub has %d streams and users %v, want none", b.Hub.streams.count, b.Hub.users)
		}
	})
}

// Streams are refused from 90 % of the memory limit until less than 80 % is in use after a collection. The memory is
// not measured for every stream of a crowd.
func TestStreamsAreRefusedWhenMemoryIsLow(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		var percent, looks, collections atomic.Int32 // the hub's clock measures too
		b.Hub.access = noRooms{}
		b.Hub.memory.used = func(collect bool) float64 {
			if looks.Add(1); collect {
				collections.Add(1)
			}
			return float64(percent.Load()) / 100
		}
		open := func(want error) {
			t.Helper()
			for range 10 {
				s, err := b.Open(b.ctx, chat.Viewer{User: 1, Name: "ada"}, SSE, Request{})
				if !errors.Is(err, want) {
					t.Errorf("with %d %% of the limit in use Open returned %v, want %v", percent.Load(), err, want)
				}
				if err == nil {
					s.Drop()
				}
			}
		}
		for _, step := range []struct {
			percent int32
			want    error
		}{{50, nil}, {89, nil}, {90, ErrNoMemory}} {
			time.Sleep(lookAtMemoryEvery)
			percent.Store(step.percent)
			looks.Store(0)
			if open(step.want); looks.Load() != 1 || collections.Load() != 0 {
				t.Errorf("memory was looked at %d times for 10 streams of a moment, and collected %d times", looks.Load(), collections.Load())
			}
		}
		percent.Store(50)
		open(ErrNoMemory) // it is not measured yet
		for _, step := range []struct {
			percent int32
			want    error
		}{{81, ErrNoMemory}, {80, nil}} {
			percent.Store(step.percent)
			time.Sleep(collectEvery + time.Second)
			open(step.want)
		}
		if collections.Load() != 2 {
			t.Errorf("%d garbage collections in 12 s, want 2", collections.Load())
		}
		time.Sleep(time.Minute)
		if collections.Load() != 2 {
			t.Errorf("garbage collected although memory is not short")
		}
		if got := b.Hub.Stats().Refused; got != 30 {
			t.Errorf("%d streams are counted as refused, want 30", got)
		}
	})
}

// Streams end at their maximum age, not all at once, and say that clients may reconnect at once. A poll does not wait
// that long.
func TestStreamsEndAtTheirMaximumAge(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		const most = 50 * time.Minute
		b.Hub.maxAge, b.Hub.access = most, noRooms{}
		began := time.Now()
		ages := map[time.Duration]int{}
		var all sync.WaitGroup
		for range 200 {
			s, err := b.Open(b.ctx, chat.Viewer{User: 1, Name: "ada"}, NDJSON, Request{})
			if err != nil {
				t.Fatal(err)
			}
			client, server := net.Pipe()
			all.Go(func() { s.Serve(server, func() error { return discard(server, make([]byte, 8)) }) })
			all.Go(func() {
				var last string
				for lines := bufio.NewScanner(client); lines.Scan(); {
					last = lines.Text()
				}
				if last != `{"type":"stream_close","reason":"max_age","retry_ms":0}` {
					t.Errorf("stream ended with %s", last)
				}
				b.Hub.mu.Lock()
				defer b.Hub.mu.Unlock()
				ages[time.Since(began).Round(time.Minute)]++
			})
		}
		all.Wait()
		for age, n := range ages {
			if age < most*9/10 || age > most*11/10+time.Minute || n > 60 {
				t.Errorf("%d streams ended after %s", n, age)
			}
		}
		s, err := b.Open(b.ctx, chat.Viewer{User: 1, Name: "ada"}, Poll, Request{Cursor: &chat.Cursor{Log: "test"}})
		if err != nil {
			t.Fatal(err)
		}
		b.Hub.maxAge = 10 * time.Second
		asked := time.Now()
		if err := s.ServePoll(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), time.Minute); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(asked); waited != 9*time.Second {
			t.Errorf("poll waited %s with streams limited to 10 s, want 9s", waited)
		}
	})
}
