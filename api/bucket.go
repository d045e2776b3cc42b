package api

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets bounds each of the two generations of a limit's buckets. A bucket takes some 200 bytes, so that whoever
// calls from a million addresses gets 26 MB of ours for each limit by address, not more.
const maxBuckets = 1 << 16

// buckets is the Limiter of a single process: a token bucket for each key.
//
// A bucket that nobody took from while it could fill is the same as a new one, and is forgotten. Keys are kept in
// two generations for that: who is seen is in the young one, and what is still in the old one when the young one
// gets old was idle for a whole filling. Where more keys come meanwhile than a generation holds it gets old sooner,
// and a caller may find a full bucket again; 2¹⁶ other keys a call are a price that no guesser of passwords pays.
type buckets struct {
	every  time.Duration // until a bucket has one token more
	size   int           // of a full bucket, in tokens
	now    func() time.Time
	most   int // keys of a generation
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

// bucket finds or makes the bucket of key, in the young generation. b.mu is held.
func (b *buckets) bucket(key string, now time.Time) *rate.Limiter {
	fill := time.Duration(b.size) * b.every
	switch age := now.Sub(b.turned); {
	case age >= 2*fill:
		b.young = nil // nothing of it was touched for as long as a bucket fills
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

// turn makes the young generation the old one, and forgets that. b.mu is held.
func (b *buckets) turn(now time.Time) {
	b.old, b.young, b.turned = b.young, make(map[string]*rate.Limiter), now
}
