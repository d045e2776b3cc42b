package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"tandem/auth"
)

// Limiter counts calls by key against one rate. It only uses built-in types, so that an implementation needs none of
// our packages.
type Limiter interface {
	// Take counts a call for key. If it is allowed, wait is 0 and left is how many more are allowed at once; otherwise
	// wait is how long until one is, and nothing was counted.
	Take(ctx context.Context, key string) (left int, wait time.Duration, err error)
}

// SharedLimiter returns the Limiter of the limit with that name, which counts for all nodes: size calls in each window.
// own is the node's own.
type SharedLimiter func(name string, size int, window time.Duration, own Limiter) Limiter

// Limits configure the rate limits; 0 is no limit.
type Limits struct {
	Posts     int // per second and user, with bursts of twice as many
	Logins    int // per minute and account, and three times as many per address
	Signups   int // per hour and address
	Streams   int // open per user; realtime.Config enforces it, api reports it
	Writes    int // other writes per second and user, with bursts of ten times as many
	Ephemeral int // ephemeral events per second and user, with bursts of twice as many
	Reads     int // costly reads per second and user, with bursts of ten times as many

	Now func() time.Time // their clock; nil is time.Now
}

var errRateLimited = errors.New("too many requests; try again after Retry-After seconds")

// limit is a rate with the name that clients know it by. A nil limit allows everything.
type limit struct {
	name    string
	policy  []string // the RateLimit-Policy header
	size    int
	every   time.Duration // until one more call is allowed
	limiter Limiter
	refused atomic.Uint64 // calls
}

// newLimit allows n calls per per, in bursts of size; nil if n is 0. If shared is not nil it counts, with the node's
// own counts as a fallback.
func newLimit(name string, n int, per time.Duration, size int, now func() time.Time, shared SharedLimiter) *limit {
	if n == 0 {
		return nil
	}
	every := per / time.Duration(n)
	fills := strconv.Itoa(size / n * int(per/time.Second))
	var limiter Limiter = newBuckets(every, size, now)
	if shared != nil {
		limiter = shared(name, size, time.Duration(size)*every, limiter)
	}
	return &limit{
		name: name, size: size, every: every, limiter: limiter,
		// The whole bucket and how long it takes to fill: what is left never exceeds the quota.
		policy: []string{strconv.Quote(name) + ";q=" + strconv.Itoa(size) + ";w=" + fills},
	}
}

// limits are those that api enforces.
type limits struct {
	posts       *limit // by user
	ephemeral   *limit // by user
	logins      *limit // by name
	loginsFrom  *limit // by address
	signupsFrom *limit
	anonymous   *limit // by address
	writes      *limit // by user
	writesFrom  *limit // by address, without an access token
	reads       *limit // by user; anonymous callers use anonymous
}

// all returns the limits, some of which may be nil.
func (l *limits) all() []*limit {
	return []*limit{l.posts, l.ephemeral, l.logins, l.loginsFrom, l.signupsFrom, l.anonymous, l.writes, l.writesFrom, l.reads}
}

func newLimits(n Limits, shared SharedLimiter) (limits, error) {
	if min(n.Posts, n.Logins, n.Signups, n.Streams, n.Writes, n.Reads, n.Ephemeral) < 0 {
		return limits{}, errors.New("a limit must be 0, for none, or more")
	}
	now := n.Now
	if now == nil {
		now = time.Now
	}
	limit := func(name string, n int, per time.Duration, size int) *limit {
		return newLimit(name, n, per, size, now, shared)
	}
	return limits{
		posts:       limit("posts", n.Posts, time.Second, 2*n.Posts),
		logins:      limit("logins", n.Logins, time.Minute, n.Logins),
		loginsFrom:  limit("logins-address", 3*n.Logins, time.Minute, 3*n.Logins),
		signupsFrom: limit("signups", n.Signups, time.Hour, n.Signups),
		anonymous:   limit("anonymous", n.Posts, time.Second, 2*n.Posts),
		ephemeral:   limit("ephemeral", n.Ephemeral, time.Second, 2*n.Ephemeral),
		writes:      limit("writes", n.Writes, time.Second, 10*n.Writes),
		writesFrom:  limit("writes-address", 3*n.Writes, time.Second, 30*n.Writes),
		reads:       limit("reads", n.Reads, time.Second, 10*n.Reads),
	}, nil
}

// The headers of draft-ietf-httpapi-ratelimit-headers-11, as net/http keys them: lists of a policy's name with its
// quota q and window w in seconds, or with its remaining quota r and the seconds t until it is fully restored.
const (
	headerPolicy = "Ratelimit-Policy"
	headerLeft   = "Ratelimit"
)

// take counts a call for key and states in h what is left; errRateLimited if nothing was.
func (l *limit) take(ctx context.Context, h http.Header, key string) error {
	if l == nil {
		return nil
	}
	left, wait, err := l.limiter.Take(ctx, key)
	if err != nil {
		return err
	}
	full := time.Duration(l.size-left) * l.every
	b := make([]byte, 0, 48)
	b = strconv.AppendQuote(b, l.name)
	b = strconv.AppendInt(append(b, ";r="...), int64(left), 10)
	b = strconv.AppendInt(append(b, ";t="...), int64(seconds(full)), 10)
	join(h, headerPolicy, l.policy)
	join(h, headerLeft, []string{string(b)})
	if wait > 0 {
		l.refused.Add(1)
		h.Set("Retry-After", strconv.Itoa(seconds(wait)))
		return errRateLimited
	}
	return nil
}

// join appends to a header's value. The first value is not copied: posts have only one limit, and are frequent.
func join(h http.Header, key string, value []string) {
	if h[key] == nil {
		h[key] = value
	} else {
		h[key] = []string{h[key][0] + ", " + value[0]}
	}
}

// seconds returns whole seconds, rounded up, so that a caller who waits does not come too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// guest is a caller without a token, as the request shows them: for limits, and for the list of sessions.
type guest struct {
	address string // the key of limits by address
	header  http.Header
	device  auth.Device
}

type guestKey struct{}

// receive records the caller for limits by address; admit is called once the request is valid.
func (s *Server) receive(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if op.secured {
			return next
		}
		return func(c echo.Context) error {
			r := c.Request()
			address := s.proxies.client(r)
			g := guest{addressKey(address), c.Response().Header(), deviceOf(r, address)}
			c.SetRequest(r.WithContext(context.WithValue(r.Context(), guestKey{}, g)))
			return next(c)
		}
	}
}

// admitSignup counts a signup, which may be costly; errRateLimited.
func (s *Server) admitSignup(ctx context.Context) error {
	g := ctx.Value(guestKey{}).(guest)
	return s.limits.signupsFrom.take(ctx, g.header, g.address)
}

// admitLogin counts a login attempt, whether it will succeed or not; errRateLimited. name is the prepared name, or what
// was sent if that is invalid: such names have limits like any other, so that a limit reveals nothing about a name. An
// address at its limit does not use up an account's.
func (s *Server) admitLogin(ctx context.Context, name, sent string) error {
	g := ctx.Value(guestKey{}).(guest)
	if err := s.limits.loginsFrom.take(ctx, g.header, g.address); err != nil {
		return err
	}
	if name == "" {
		sum := sha256.Sum256([]byte(sent)) // up to a whole body, and stored
		name = hex.EncodeToString(sum[:])  // longer than any name
	}
	return s.limits.logins.take(ctx, g.header, name)
}

// limitConfirm counts a call that asks for the password again like a login of that account: a token must not allow
// guessing it.
func (s *Server) limitConfirm(next StrictHandlerFunc, operation string) StrictHandlerFunc {
	if operation != "ChangeMe" && operation != "DeleteMe" {
		return next
	}
	return func(c echo.Context, request any) (any, error) {
		if r, ok := request.(ChangeMeRequestObject); ok && r.Body.CurrentPassword == nil {
			return next(c, request) // no password is required
		}
		ctx := c.Request().Context()
		if err := s.limits.logins.take(ctx, c.Response().Header(), viewer(ctx).Name); err != nil {
			return nil, err
		}
		return next(c, request)
	}
}

// leftStreams is the remaining quota of streams when one is refused. When it changes depends on the user.
const leftStreams = `"streams";r=0`

// setStreamLimit states how many streams a user may have.
func (s *Server) setStreamLimit(h http.Header) {
	if n := s.Limits.Streams; n > 0 {
		h.Set(headerPolicy, `"streams";q=`+strconv.Itoa(n)+`;qu="concurrent-requests"`)
	}
}
