package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Insist repeats a call until it has a final result or ctx ends, which returns the last error. A writing call needs an
// Idempotency-Key, unless repeating it does no harm. A try that takes longer than limit is cancelled.
func (c *Client) Insist(ctx context.Context, limit time.Duration, call Call, out any) error {
	for n := 0; ; n++ {
		try, cancel := context.WithTimeoutCause(ctx, limit, &unreachable{context.DeadlineExceeded})
		err := c.Do(try, call, out)
		cancel()
		if err == nil || !Passing(err) || sleep(ctx, max(backoff(n), retryAfter(err))) != nil {
			return err
		}
	}
}

func retryAfter(err error) time.Duration {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.RetryAfter
	}
	return 0
}

// backoff is the wait before try n+2: doubling up to 20 s, with jitter, so that a crowd does not return at once.
func backoff(n int) time.Duration {
	most := min(20*time.Second, 500*time.Millisecond<<min(n, 10))
	return most/2 + rand.N(most/2)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
