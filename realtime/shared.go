package realtime

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tandem/panics"
)

// shared merges simultaneous reads of the log. A read serves the callers that asked before it began, so that nobody
// gets data older than their question.
type shared[T any] struct {
	read func(ctx context.Context) (T, error)
	pace time.Duration // minimum time between the starts of two reads, so that a crowd costs reads by time

	logger *slog.Logger

	mu      sync.Mutex
	running bool
	began   time.Time  // of the latest read
	next    *answer[T] // the read that has not begun; nil while nobody waits for it
}

type answer[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// get returns the result of a read that began after get was called.
func (s *shared[T]) get(ctx context.Context) (T, error) {
	s.mu.Lock()
	if s.next == nil {
		s.next = &answer[T]{done: make(chan struct{})}
	}
	a := s.next
	if !s.running {
		s.running = true
		go s.run()
	}
	s.mu.Unlock()
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// run reads until nobody waits. No single client's end cancels what others wait for.
func (s *shared[T]) run() {
	for {
		s.mu.Lock()
		wait := s.pace - time.Since(s.began)
		if s.next != nil && wait > 0 {
			s.mu.Unlock()
			time.Sleep(wait)
			s.mu.Lock()
		}
		a := s.next
		if s.next, s.running = nil, a != nil; s.running {
			s.began = time.Now()
		}
		s.mu.Unlock()
		if a == nil {
			return
		}
		a.err = errReadFailed
		panics.Do(s.logger, "a read that is shared", func() { a.value, a.err = s.read(context.Background()) })
		close(a.done)
	}
}

// errReadFailed is the result of a read that panicked.
var errReadFailed = errors.New("the read failed; see the server's log")
