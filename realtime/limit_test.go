package realtime

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tandem/chat"
)

// noRooms is Access for streams of the inbox alone.
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

// Streams that open at once, over both transports, are never more than a user may have; and each that ends makes
// room for another.
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
				t.Fatalf("round %d: %d streams opened and %d were refused", round, len(opened), refused.Load())
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
			t.Errorf("the hub still counts %v", b.Hub.users)
		}
	})
}

// The only thing that a refused stream says is why, and it does not count itself.
func TestRefusedStreamSaysWhyAndEnds(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		s, err := b.Refuse(chat.Viewer{User: 3, Name: "ada"}, SSE)
		if err != nil {
			t.Fatal(err)
		}
		c := serve(s)
		expect(t, c.seen(), "stream_close", "end")
		e := <-c.raw
		if e["reason"] != "too_many_streams" || e["retry_ms"] != float64(RetryTooMany/time.Millisecond) {
			t.Errorf("the close says %v", e)
		}
		synctest.Wait()
		if b.Hub.streams.count != 0 || len(b.Hub.users) != 0 {
			t.Errorf("the hub still has %d streams and counts %v", b.Hub.streams.count, b.Hub.users)
		}
	})
}
