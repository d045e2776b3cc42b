package realtime

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNoMemory means that the process is near its memory limit and opens no more streams.
var ErrNoMemory = errors.New("the server is short of memory; try again later")

// RetryNoMemory is when to retry a stream that was refused for lack of memory.
const RetryNoMemory = 10 * time.Second

// memoryLimit refuses streams while memory is short, so that open streams and posts keep working. It reads memory without the
// hub's lock: the kernel may take milliseconds to read a cgroup's files.
type memoryLimit struct {
	used   func(collect bool) float64 // Config.MemoryUsed
	logger *slog.Logger
	short  atomic.Bool

	mu     sync.Mutex // held while reading memory
	looked time.Time
}

const (
	// refuseAt and allowAt are shares of the limit. They differ so that a few ended streams do not let in as many that
	// are refused again.
	refuseAt, allowAt = 0.9, 0.8
	// lookAtMemoryEvery is short because a crowd opens thousands of streams a second.
	lookAtMemoryEvery = 100 * time.Millisecond
	// collectEvery is how often garbage is collected while memory is short.
	collectEvery = 5 * time.Second
)

// allows reports whether a stream may be opened. It does not wait while another caller reads memory.
func (m *memoryLimit) allows(now time.Time) bool {
	if m.used != nil && !m.short.Load() && m.mu.TryLock() {
		defer m.mu.Unlock()
		if now.Sub(m.looked) >= lookAtMemoryEvery {
			m.looked = now
			if used := m.used(false); used >= refuseAt {
				m.short.Store(true)
				m.logger.Warn("short of memory: refusing new streams", "used", used)
			}
		}
	}
	return !m.short.Load()
}

// review checks whether memory is available again. It collects garbage first: a server that refuses streams may do so
// little else that nothing else would trigger a collection.
func (m *memoryLimit) review(now time.Time) {
	if !m.short.Load() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.looked) < collectEvery {
		return
	}
	m.looked = now
	if used := m.used(true); used <= allowAt {
		m.short.Store(false)
		m.logger.Info("memory is available again: accepting new streams", "used", used)
	}
}
