package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

// Limiter counts calls by key, against one rate. Its types are the language's own, so that an adapter needs nothing
// of ours to be one.
type Limiter interface {
	// Take counts a call of key's. Where it is allowed wait is 0, and left is how many more are at once; else wait
	// is how long until one will be, and nothing was counted.
	Take(ctx context.Context, key string) (left int, wait time.Duration, err error)
}

// SharedLimiter makes the Limiter of the limit with that name, which counts for all nodes: size calls in each window.
// own is the node's own.
type SharedLimiter func(name string, size int, window time.Duration, own Limiter) Limiter

// Limits say how much one may ask of a server; 0 is no limit.
type Limits struct {
	Posts   int // a second and user, with bursts of twice as many
	Logins  int // a minute and account, and three times as many an address
	Signups int // an hour and address
	Streams int // of a user at once; realtime.Config holds to it, api says so
	Writes  int // other writing calls a second and user, with bursts of ten times as many
	Reads   int // costly reading calls a second and user, the same
}

var errRateLimited = errors.New("too many of these calls; come back after Retry-After seconds")

// limit is a rate with the name that clients know it by. A nil one allows everything.
type limit struct {
	name    string
	policy  []string // the RateLimit-Policy header
	size    int
	every   time.Duration // until one more call is allowed
	limiter Limiter
}

// newLimit allows n calls in each per, size at once; nil where n is 0. Where shared is not nil it counts, with the
// node's own counts to fall back on.
func newLimit(name string, n int, per time.Duration, size int, shared SharedLimiter) *limit {
	if n == 0 {
		return nil
	}
	every := per / time.Duration(n)
	fills := strconv.Itoa(size / n * int(per/time.Second))
	var limiter Limiter = newBuckets(every, size, time.Now)
	if shared != nil {
		limiter = shared(name, size, time.Duration(size)*every, limiter)
	}
	return &limit{
		name: name, size: size, every: every, limiter: limiter,
		// The whole bucket and how long it takes to fill: what is left never exceeds the quota.
		policy: []string{strconv.Quote(name) + ";q=" + strconv.Itoa(size) + ";w=" + fills},
	}
}

// limits are those that api holds to itself.
type limits struct {
	posts       *limit // by user
	logins      *limit // by name
	loginsFrom  *limit // by address
	signupsFrom *limit
	anonymous   *limit // by address
	writes      *limit // by user
	writesFrom  *limit // by address, of who sends no access token
	reads       *limit // by user; who is anonymous has anonymous
}

func newLimits(n Limits, shared SharedLimiter) (limits, error) {
	if min(n.Posts, n.Logins, n.Signups, n.Streams, n.Writes, n.Reads) < 0 {
		return limits{}, errors.New("a limit is 0, for none, or more")
	}
	return limits{
		posts:       newLimit("posts", n.Posts, time.Second, 2*n.Posts, shared),
		logins:      newLimit("logins", n.Logins, time.Minute, n.Logins, shared),
		loginsFrom:  newLimit("logins-address", 3*n.Logins, time.Minute, 3*n.Logins, shared),
		signupsFrom: newLimit("signups", n.Signups, time.Hour, n.Signups, shared),
		anonymous:   newLimit("anonymous", n.Posts, time.Second, 2*n.Posts, shared),
		writes:      newLimit("writes", n.Writes, time.Second, 10*n.Writes, shared),
		writesFrom:  newLimit("writes-address", 3*n.Writes, time.Second, 30*n.Writes, shared),
		reads:       newLimit("reads", n.Reads, time.Second, 10*n.Reads, shared),
	}, nil
}

// The headers of draft-ietf-httpapi-ratelimit-headers-11, as net/http keys them: lists of a policy's name with its
// quota q and window w in seconds, or with what remains of it now, r, and the seconds t until all of it is there again.
const (
	headerPolicy = "Ratelimit-Policy"
	headerLeft   = "Ratelimit"
)

// take counts a call of key's and says in h what is left; errRateLimited where nothing was.
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
		h.Set("Retry-After", strconv.Itoa(seconds(wait)))
		return errRateLimited
	}
	return nil
}

// join puts a header's value behind what it has. The first is not copied: posts have one limit, and are many.
func join(h http.Header, key string, value []string) {
	if h[key] == nil {
		h[key] = value
	} else {
		h[key] = []string{h[key][0] + ", " + value[0]}
	}
}

// seconds are whole ones, rounded up, so that who waits for them does not come too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// guest is what the limits of those who have no token need of a request.
type guest struct {
	address string // the key of limits by address
	header  http.Header
}

type guestKey struct{}

// receive notes who calls where limits go by address; admit is called where the request is found to be proper.
func (s *Server) receive(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if op.secured {
			return next
		}
		return func(c echo.Context) error {
			r := c.Request()
			g := guest{addressKey(s.proxies.client(r)), c.Response().Header()}
			c.SetRequest(r.WithContext(context.WithValue(r.Context(), guestKey{}, g)))
			return next(c)
		}
	}
}

// admitSignup counts a signup that may be costly; errRateLimited.
func (s *Server) admitSignup(ctx context.Context) error {
	g := ctx.Value(guestKey{}).(guest)
	return s.limits.signupsFrom.take(ctx, g.header, g.address)
}

// admitLogin counts an attempt to log in, whether it will succeed or not; errRateLimited. name is the prepared one,
// and what was sent where that cannot be one: such names have limits like any other, so that a limit says nothing
// of a name. An address that is at its limit takes nothing from an account's.
func (s *Server) admitLogin(ctx context.Context, name, sent string) error {
	g := ctx.Value(guestKey{}).(guest)
	if err := s.limits.loginsFrom.take(ctx, g.header, g.address); err != nil {
		return err
	}
	if name == "" {
		sum := sha256.Sum256([]byte(sent)) // as long as a body, and kept
		name = hex.EncodeToString(sum[:])  // longer than any name
	}
	return s.limits.logins.take(ctx, g.header, name)
}

// limitConfirm counts where a password is asked for once more like a login of that account: a token must not be a
// way to guess it.
func (s *Server) limitConfirm(next StrictHandlerFunc, operation string) StrictHandlerFunc {
	if operation != "ChangePassword" && operation != "DeleteMe" {
		return next
	}
	return func(c echo.Context, request any) (any, error) {
		ctx := c.Request().Context()
		if err := s.limits.logins.take(ctx, c.Response().Header(), viewer(ctx).Name); err != nil {
			return nil, err
		}
		return next(c, request)
	}
}

// leftStreams is what is left of streams where one more is refused. When that changes is the user's own affair.
const leftStreams = `"streams";r=0`

// tellStreams says how many streams a user may have.
func (s *Server) tellStreams(h http.Header) {
	if n := s.Limits.Streams; n > 0 {
		h.Set(headerPolicy, `"streams";q=`+strconv.Itoa(n)+`;qu="concurrent-requests"`)
	}
}
