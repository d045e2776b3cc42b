package realtime

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tandem/chat"
)

// slowHead is a log whose head takes a second to read; it numbers the reads.
func slowHead(reads *atomic.Int64) shared[chat.LogState] {
	return shared[chat.LogState]{read: func(context.Context) (chat.LogState, error) {
		n := reads.Add(1)
		time.Sleep(time.Second)
		return chat.LogState{Head: n}, nil
	}}
}

// However many ask during a read, one more read serves all of them; it starts after they asked.
func TestSharedReadStartsAfterTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int64
		head := slowHead(&reads)
		got := make(chan int64, 2000)
		ask := func() {
			state, err := head.get(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- state.Head
		}
		go ask()
		synctest.Wait() // the first read is under way; it may have missed what the next caller must see
		for range 1000 {
			go ask()
		}
		if first := <-got; first != 1 {
			t.Errorf("the first asker got read %d, want 1", first)
		}
		for range 1000 {
			if n := <-got; n != 2 {
				t.Fatalf("the caller during the first read got read %d, want 2", n)
			}
		}
		if reads.Load() != 2 {
			t.Errorf("%d reads, want 2", reads.Load())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := head.get(ctx); err == nil {
			t.Error("cancelled caller got no error")
		}
		time.Sleep(time.Minute) // until all reads have finished
	})
}

// A caller that asks repeatedly is delayed, to keep to the number of reads per second.
func TestSharedReadsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		head := shared[int]{pace: 5 * time.Millisecond, logger: slog.New(slog.DiscardHandler), read: func(context.Context) (int, error) { reads++; return reads, nil }}
		began := time.Now()
		for i := range 100 {
			if got, err := head.get(t.Context()); got != i+1 || err != nil {
				t.Fatalf("call %d got read %d, %v", i, got, err)
			}
		}
		if took := time.Since(began); took != 99*5*time.Millisecond {
			t.Errorf("100 reads took %s, want 495ms", took)
		}
		time.Sleep(time.Second)
		began = time.Now()
		if _, err := head.get(t.Context()); err != nil || time.Since(began) != 0 {
			t.Error("caller after a pause had to wait")
		}
		time.Sleep(time.Second)
	})
}

// countedLog counts the reads for streams, which take a while.
type countedLog struct {
	*logbook
	heads, reads atomic.Int64
}

func (l *countedLog) Head(ctx context.Context) (chat.LogState, error) {
	l.heads.Add(1)
	time.Sleep(10 * time.Millisecond)
	return l.logbook.Head(ctx)
}

func (l *countedLog) Read(ctx context.Context, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error) {
	l.reads.Add(1)
	return l.logbook.Read(ctx, topics, upto, limit)
}

// Streams that all reconnect at once are served from the ring, and share the reads of the log's head.
func TestReconnectStormReadsTheLogOnce(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		counted := &countedLog{logbook: b.log}
		b.Hub.log, b.Hub.head.read, b.Hub.access = counted, counted.Head, noRooms{}
		inbox := chat.InboxTopic(3)
		for range 10 {
			b.post(inbox)
		}
		synctest.Wait()
		before := counted.heads.Load()
		streams := make(chan *Stream, 5000)
		for range cap(streams) {
			go func() {
				s, err := b.Open(b.ctx, chat.Viewer{User: 3, Name: "ada"}, NDJSON, Request{Cursor: &chat.Cursor{ID: 4, Log: "test"}})
				if err != nil {
					t.Error(err)
				}
				streams <- s
			}()
		}
		for range cap(streams) {
			s := <-streams
			out, _, err := s.Next(b.ctx, nil)
			if lines := strings.Count(string(out), "\n"); err != nil || lines != 1+6 || s.pos != 10 {
				t.Fatalf("stream resumed at %d with %d lines, %v", s.pos, lines, err)
			}
			s.Drop()
		}
		// The hub's own polls, once a second, are included.
		if heads, reads := counted.heads.Load()-before, counted.reads.Load(); heads > 5 || reads > 0 {
			t.Errorf("5,000 streams: %d head reads and %d topic reads, want at most 5 and 0", heads, reads)
		}
	})
}
