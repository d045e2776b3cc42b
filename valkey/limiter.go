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

// Limiter counts calls by key for all nodes together, in windows of time. While Valkey cannot be reached the node
// counts for itself.
type Limiter struct {
	client *Client
	name   string
	size   int
	window time.Duration
	own    Fallback
	logger *slog.Logger
	rests  atomic.Int64 // until when Valkey is not asked, UnixNano
}

// Fallback is a node's own limiter: api.Limiter.
type Fallback interface {
	Take(ctx context.Context, key string) (left int, wait time.Duration, err error)
}

// NewLimiter allows size calls of a key in each window. name keeps its keys from those of other limits.
func NewLimiter(client *Client, name string, size int, window time.Duration, own Fallback) *Limiter {
	return &Limiter{client: client, name: name, size: size, window: window, own: own, logger: client.logger}
}

const (
	// patience is how long a request may wait for its count.
	patience = 25 * time.Millisecond
	// rest is how long after a failure Valkey is not asked; then one request finds out whether it is back.
	rest = time.Second
)

// Take is api.Limiter's.
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
	r, err := within(ctx, l.logger, func(ctx context.Context) (valkeylimiter.Result, error) { return limiter.Allow(ctx, key) })
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

// mayAsk tells whether Valkey is to be asked: always while it answers, and by one request now and then while it does not.
func (l *Limiter) mayAsk(now time.Time) bool {
	until := l.rests.Load()
	return until == 0 || now.UnixNano() > until && l.rests.CompareAndSwap(until, now.Add(rest).UnixNano())
}

var errAskFailed = errors.New("asking Valkey panicked")

// within asks, and waits no longer than patience. The call may outlive this one; it ends with its answer or with its
// connection. Its context does not end: valkey-go would wait for a new connection all the same, and valkeylimiter would
// use the command's bytes again while the connection still writes them.
func within[T any](ctx context.Context, logger *slog.Logger, ask func(context.Context) (T, error)) (answer T, err error) {
	unending := context.WithoutCancel(ctx)
	ctx, cancel := context.WithTimeout(ctx, patience)
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
