package valkey

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"
	"github.com/valkey-io/valkey-go/valkeylimiter"

	"tandem/panics"
)

// Limiter counts calls by key for all nodes together, in time windows. While Valkey cannot be reached, the node counts
// on its own.
type Limiter struct {
	client   *Client
	name     string
	size     int
	window   time.Duration
	own      Fallback
	logger   *slog.Logger
	patience time.Duration // maxWait; tests change it
	rests    atomic.Int64  // until when Valkey is not called, UnixNano
}

// Fallback is a node's own limiter: api.Limiter.
type Fallback interface {
	Take(ctx context.Context, key string) (left int, wait time.Duration, err error)
}

// NewLimiter allows size calls per key and window. name separates its keys from those of other limits.
func NewLimiter(client *Client, name string, size int, window time.Duration, own Fallback) *Limiter {
	return &Limiter{client: client, name: name, size: size, window: window, own: own, logger: client.logger, patience: maxWait}
}

const (
	// maxWait is how long a request may wait for its count.
	maxWait = 25 * time.Millisecond
	// rest is how long Valkey is not called after a failure; then one request checks whether it is back.
	rest = time.Second
)

// Take implements api.Limiter.
func (l *Limiter) Take(ctx context.Context, key string) (left int, wait time.Duration, err error) {
	client, err := l.client.get()
	if err != nil || !l.mayAsk(time.Now()) {
		return l.own.Take(ctx, key)
	}
	limiter, err := valkeylimiter.NewRateLimiter(valkeylimiter.RateLimiterOption{
		ClientBuilder: func(valkey.ClientOption) (valkey.Client, error) { return client, nil },
		KeyPrefix:     "tandem:limit:" + l.name,
		Limit:         l.size,
		Window:        l.window,
	})
	if err != nil {
		return 0, 0, err
	}
	now := time.Now()
	r, err := within(ctx, l.patience, l.logger, func(ctx context.Context) (valkeylimiter.Result, error) { return limiter.Allow(ctx, key) })
	if err != nil {
		l.rests.Store(time.Now().Add(rest).UnixNano())
		return l.own.Take(ctx, key)
	}
	l.rests.Store(0)
	if r.Allowed {
		return int(r.Remaining), 0, nil
	}
	return 0, max(time.Millisecond, time.UnixMilli(r.ResetAtMs).Sub(now)), nil
}

// mayAsk reports whether to call Valkey: always while it answers, otherwise one request now and then.
func (l *Limiter) mayAsk(now time.Time) bool {
	until := l.rests.Load()
	return until == 0 || now.UnixNano() > until && l.rests.CompareAndSwap(until, now.Add(rest).UnixNano())
}

var errAskFailed = errors.New("asking Valkey panicked")

// within calls Valkey, and waits no longer than wait. The call may outlive this one; it ends with its answer or
// with its connection. Its context does not end: valkey-go would wait for a new connection all the same, and
// valkeylimiter would reuse the command's bytes while the connection still writes them.
func within[T any](ctx context.Context, wait time.Duration, logger *slog.Logger, ask func(context.Context) (T, error)) (answer T, err error) {
	unending := context.WithoutCancel(ctx)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	type result struct {
		answer T
		err    error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: errAskFailed}
		defer func() { done <- r }()
		panics.Do(logger, "asking Valkey", func() { r.answer, r.err = ask(unending) })
	}()
	select {
	case r := <-done:
		return r.answer, r.err
	case <-ctx.Done():
		return answer, ctx.Err()
	}
}
