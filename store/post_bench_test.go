//go:build unix

package store

import (
	"fmt"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tandem/chat"
)

// BenchmarkPost measures a post from the call to its commit: processor time (without the database's), allocations, and how
// often a goroutine was handed to a processor.
func BenchmarkPost(b *testing.B) {
	for _, posters := range []int{1, 4, 64} {
		for _, keyed := range []bool{false, true} {
			name := fmt.Sprintf("%d_at_once", posters)
			if keyed {
				name += ",_keyed"
			}
			b.Run(name, func(b *testing.B) {
				s, u, r := world(b, place{Dir: b.TempDir()}, nil)
				guard, m := guardOf(u, r), message(u, r, "two hundred characters or so, as they are posted by the programs that measure posts over HTTP")
				var n atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				defer func(cpu time.Duration, switches uint64) {
					b.ReportMetric(float64((processorTime()-cpu).Microseconds())/float64(b.N), "cpu-µs/op")
					b.ReportMetric(float64(handOvers()-switches)/float64(b.N), "hand-overs/op")
				}(processorTime(), handOvers())
				var wg sync.WaitGroup
				for range posters {
					wg.Go(func() {
						for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
							var key *chat.Key
							if keyed {
								key = &chat.Key{Name: fmt.Sprint(i), Fingerprint: make([]byte, 32)}
							}
							if _, fresh, err := s.Post(b.Context(), guard, m, key); err != nil || !fresh {
								b.Errorf("%t, %v", fresh, err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// handOvers estimates how often a goroutine that could run was given a processor: the runtime looks at one in eight
// (gTrackingPeriod in runtime/runtime2.go).
func handOvers() (n uint64) {
	waits := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(waits)
	for _, count := range waits[0].Value.Float64Histogram().Counts {
		n += count
	}
	return 8 * n
}
