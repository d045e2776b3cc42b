package api

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// take takes one token from key's bucket, and describes the result: the wait, or how many are left.
func (b *buckets) take(t *testing.T, key string) (left int, wait time.Duration) {
	t.Helper()
	left, wait, err := b.Take(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return left, wait
}

func TestBucketRefillsAtItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuckets(50*time.Millisecond, 40, time.Now) // 20 a second, bursts of 40
		for i := range 40 {
			if left, wait := b.take(t, "ada"); wait != 0 || left != 39-i {
				t.Fatalf("take %d: %d left, wait %v", i, left, wait)
			}
		}
		for range 3 { // a refusal costs nothing
			if _, wait := b.take(t, "ada"); wait != 50*time.Millisecond {
				t.Fatalf("empty: wait = %v, want 50ms", wait)
			}
		}
		if left, wait := b.take(t, "bob"); wait != 0 || left != 39 {
			t.Errorf("another key: %d left, wait %v", left, wait)
		}
		time.Sleep(49 * time.Millisecond)
		if _, wait := b.take(t, "ada"); wait <= 0 || wait > time.Millisecond+time.Microsecond {
			t.Errorf("1 ms early: wait %v", wait)
		}
		time.Sleep(time.Millisecond)
		if left, wait := b.take(t, "ada"); wait != 0 || left != 0 {
			t.Errorf("in time: %d left, wait %v", left, wait)
		}
		time.Sleep(time.Hour) // never more than its capacity
		if left, wait := b.take(t, "ada"); wait != 0 || left != 39 {
			t.Errorf("after an hour: %d left, wait %v", left, wait)
		}
	})
}

// A bucket that is used again after a pause holds exactly what was refilled meanwhile, even if it was forgotten.
func TestForgottenBucketsGainNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every, size = time.Second, 10
		b := newBuckets(every, size, time.Now)
		drain := func() (n int) {
			for {
				if _, wait := b.take(t, "ada"); wait > 0 {
					return n
				}
				n++
			}
		}
		drain()
		for range 1000 {
			pause := time.Duration(rand.N(15)) * every
			for range pause / every { // other keys, at each moment at which generations may rotate
				time.Sleep(every)
				b.take(t, "bob")
			}
			if got, want := drain(), min(size, int(pause/every)); got != want {
				t.Fatalf("after %v ada got %d", pause, got)
			}
		}
	})
}

func TestIdleBucketsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuckets(time.Second, 10, time.Now)
		for i := range 1000 {
			b.take(t, fmt.Sprint(i))
		}
		time.Sleep(11 * time.Second)
		b.take(t, "one")
		time.Sleep(11 * time.Second)
		b.take(t, "two")
		if n := len(b.young) + len(b.old); n != 2 {
			t.Errorf("%d buckets left, want 2", n)
		}
		time.Sleep(time.Hour)
		b.take(t, "three")
		if n := len(b.young) + len(b.old); n != 1 {
			t.Errorf("%d buckets left after an hour, want 1", n)
		}
	})
}

// Calls from very many addresses do not take more memory than the limit, and addresses that call repeatedly meanwhile
// stay refused.
func TestBucketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuckets(time.Minute, 2, time.Now)
		b.most = 100
		allowed := 0
		for i := range 5000 {
			b.take(t, fmt.Sprint(i))
			if n := len(b.young) + len(b.old); n > 2*b.most {
				t.Fatalf("%d buckets, want at most twice the limit", n)
			}
			if i%10 == 0 {
				if _, wait := b.take(t, "ada"); wait == 0 {
					allowed++
				}
			}
		}
		if allowed != 2 {
			t.Errorf("%d calls were allowed", allowed)
		}
	})
}

func TestBucketsTakenFromAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuckets(time.Minute, 50, time.Now)
		var allowed atomic.Int32
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				if _, wait, _ := b.Take(t.Context(), "ada"); wait == 0 {
					allowed.Add(1)
				}
			})
		}
		all.Wait()
		if allowed.Load() != 50 {
			t.Errorf("%d calls were allowed", allowed.Load())
		}
	})
}

func TestLimitReportsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := newLimits(Limits{Posts: 20, Logins: 10, Signups: 20}, nil)
		if err != nil {
			t.Fatal(err)
		}
		expect := func(h http.Header, policy, left, retry string) {
			t.Helper()
			for name, want := range map[string]string{"RateLimit-Policy": policy, "RateLimit": left, "Retry-After": retry} {
				if got := h.Get(name); got != want {
					t.Errorf("%s is %s, want %s", name, got, want)
				}
			}
		}
		h := http.Header{}
		for range 40 {
			h = http.Header{}
			if err := l.posts.take(t.Context(), h, "1"); err != nil {
				t.Fatal(err)
			}
		}
		expect(h, `"posts";q=40;w=2`, `"posts";r=0;t=2`, "")
		h = http.Header{}
		if err := l.posts.take(t.Context(), h, "1"); err != errRateLimited {
			t.Errorf("the 41st: got %v, want errRateLimited", err)
		}
		expect(h, `"posts";q=40;w=2`, `"posts";r=0;t=2`, "1")

		h = http.Header{}
		for range 21 {
			h = http.Header{}
			err = l.signupsFrom.take(t.Context(), h, "192.0.2.1")
		}
		if err != errRateLimited {
			t.Errorf("the 21st signup: got %v, want errRateLimited", err)
		}
		expect(h, `"signups";q=20;w=3600`, `"signups";r=0;t=3600`, "180")

		h = http.Header{}
		_ = l.loginsFrom.take(t.Context(), h, "192.0.2.1")
		_ = l.logins.take(t.Context(), h, "ada")
		expect(h, `"logins-address";q=30;w=60, "logins";q=10;w=60`, `"logins-address";r=29;t=2, "logins";r=9;t=6`, "")
	})
}

func TestZeroLimitMeansUnlimited(t *testing.T) {
	l, err := newLimits(Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	if err := l.posts.take(t.Context(), h, "1"); err != nil || len(h) != 0 {
		t.Errorf("take without a limit: got %v, headers %v, want nil, none", err, h)
	}
	if _, err := newLimits(Limits{Posts: -1}, nil); err == nil {
		t.Error("limit of -1: got it accepted, want an error")
	}
}

func BenchmarkTakePost(b *testing.B) {
	l, _ := newLimits(Limits{Posts: 1_000_000}, nil)
	b.ReportAllocs()
	for b.Loop() {
		_ = l.posts.take(b.Context(), http.Header{}, "1234")
	}
}
