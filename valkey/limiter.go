package valkey

import (
	"context"
	"time"

	"github.com/valkey-io/valkey-go"
	"github.com/valkey-io/valkey-go/valkeylimiter"
)

// Limiter counts calls by key for all nodes together, in windows of time. While Valkey cannot be reached the node
// counts for itself.
type Limiter struct {
	client *Client
	name   string
	size   int
	window time.Duration
	own    Fallback
}

// Fallback is a node's own limiter: api.Limiter.
type Fallback interface {
	Take(ctx context.Context, key string) (left int, wait time.Duration, err error)
}

// NewLimiter allows size calls of a key in each window. name keeps its keys from those of other limits.
func NewLimiter(client *Client, name string, size int, window time.Duration, own Fallback) *Limiter {
	return &Limiter{client, name, size, window, own}
}

// patience is how long a request may wait for its count.
const patience = 100 * time.Millisecond

// Take is api.Limiter's.
func (l *Limiter) Take(ctx context.Context, key string) (left int, wait time.Duration, err error) {
	client, err := l.client.get()
	if err != nil {
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
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	now := time.Now()
	r, err := limiter.Allow(bounded, key)
	switch {
	case err != nil:
		return l.own.Take(ctx, key)
	case r.Allowed:
		return int(r.Remaining), 0, nil
	}
	return 0, max(time.Millisecond, time.UnixMilli(r.ResetAtMs).Sub(now)), nil
}
