package api

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets bounds each of the two generations of a limit's buckets. A bucket takes about 200 bytes, so calls from a
// million addresses cost 26 MB for each limit by address, not more.
const maxBuckets = 1 << 16

// buckets is the Limiter of a single process: a token bucket for each key.
//
// A bucket that could refill without being used equals a new one, and is dropped. So keys are kept in two generations:
// a used key is in the young one, and what is still in the old one when the generations turn was idle long enough to
// refill. If a generation is full it turns early, and a caller may find a full bucket again; 2¹⁶ other keys per call
// are too high a price for guessing passwords.
type buckets struct {
	every  time.Duration // time until a bucket gains a token
	size   int           // tokens in a full bucket
	now    func() time.Time
	most   int // keys in a generation
	mu     sync.Mutex
	young  map[string]*rate.Limiter
	old    map[string]*rate.Limiter
	turned time.Time // when the young generation began
}

var _ Limiter = (*buckets)(nil)

func newBuckets(every time.Duration, size int, now func() time.Time) *buckets {
	return &buckets{every: every, size: size, now: now, most: maxBuckets, young: make(map[string]*rate.Limiter), turned: now()}
}

// Take implements Limiter.
func (b *buckets) Take(_ context.Context, key string) (left int, wait time.Duration, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	bucket := b.bucket(key, now)
	if !bucket.AllowN(now, 1) {
		missing := 1 - bucket.TokensAt(now)
		return 0, max(1, time.Duration(missing*float64(b.every))), nil
	}
	return int(bucket.TokensAt(now)), 0, nil
}

// bucket returns the bucket of key, from or into the young generation. The caller holds b.mu.
func (b *buckets) bucket(key string, now time.Time) *rate.Limiter {
	fill := time.Duration(b.size) * b.every
	switch age := now.Sub(b.turned); {
	case age >= 2*fill:
		b.young = nil // nothing in it was used for as long as a bucket takes to refill
		fallthrough
	case age >= fill:
		b.turn(now)
	}
	if found := b.young[key]; found != nil {
		return found
	}
	if len(b.young) >= b.most {
		b.turn(now)
	}
	found := b.old[key]
	if found == nil {
		found = rate.NewLimiter(rate.Every(b.every), b.size)
	}
	b.young[key] = found
	return found
}

// turn makes the young generation the old one, and drops the old one. The caller holds b.mu.
func (b *buckets) turn(now time.Time) {
	b.old, b.young, b.turned = b.young, make(map[string]*rate.Limiter), now
}
