// Package panics keeps a panic from ending the process: it costs the request, stream or step in which it happens.
// net/http does the same for its own goroutines; every goroutine that we start uses this package. It starts none itself
// and imports none of tandem's packages.
package panics

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// again is how long a loop that panicked rests before it continues, so that one that always panics costs little.
	again = time.Second
	// logEvery is how often a panic in one place is logged: a step that always fails would fill the disk.
	logEvery = time.Minute
)

var (
	total atomic.Uint64

	mu     sync.Mutex
	logged = make(map[string]time.Time) // by place and value
)

// Total returns how many panics have been caught since the start.
func Total() uint64 { return total.Load() }

// Catch, deferred, recovers from a panic. where describes the activity for the log.
func Catch(logger *slog.Logger, where string) {
	if p := recover(); p != nil {
		note(logger, where, p)
	}
}

// Do runs f and reports whether it returned without a panic.
func Do(logger *slog.Logger, where string, f func()) (returned bool) {
	defer Catch(logger, where)
	f()
	return true
}

// Keep runs f until it returns; after a panic it runs it again, a second later, unless ctx has ended.
func Keep(ctx context.Context, logger *slog.Logger, where string, f func()) {
	for !Do(logger, where, f) {
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return
		}
	}
}

// Error counts a recovered panic and returns it as an error with its stack, for a caller that logs errors itself.
func Error(p any) error {
	total.Add(1)
	return fmt.Errorf("panic: %v\n%s", p, debug.Stack())
}

func note(logger *slog.Logger, where string, p any) {
	total.Add(1)
	if first(fmt.Sprint(where, ": ", p)) {
		logger.Error("panic: "+where, "error", fmt.Sprint(p), "stack", string(debug.Stack()))
	}
}

// first reports whether key was not seen in the last minute.
func first(key string) bool {
	mu.Lock()
	defer mu.Unlock()
	now := time.Now()
	for k, at := range logged {
		if now.Sub(at) >= logEvery {
			delete(logged, k)
		}
	}
	if _, seen := logged[key]; seen {
		return false
	}
	logged[key] = now
	return true
}
