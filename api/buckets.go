package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
)

// countsAsPost are the operations that use up limit-posts: what can fill the log. A message is deleted only once.
var countsAsPost = map[string]bool{
	"postMessage": true, "postPrivateMessage": true, "editMessage": true, "editPrivateMessage": true,
	"addReaction": true, "removeReaction": true,
}

// costlyReads are the operations that use up limit-reads, some of them only with the query parameter that is named:
// they look at more than they answer with. The answer of every other one is as long as what it looks at.
var costlyReads = map[string]string{
	"listRooms": "", "listConversations": "", "listUsers": "", "listAccounts": "", "stats": "",
	"listMessages": "q", "listPrivateMessages": "q",
}

// withOwnLimit are the operations without an access token that count attempts when they know what they cost (see
// admitSignup and admitLogin).
var withOwnLimit = map[string]bool{"signup": true, "login": true}

// limitCalls counts calls by user, or by address where there is no user, so it comes behind authenticate; before the
// body is read. An operation that writes has a limit unless it is found here to have another: one that is added to
// openapi.yaml cannot be without. A repeated Idempotency-Key counts too: to see that it is one costs what a post does.
func (s *Server) limitCalls(id string, op *operation) echo.MiddlewareFunc {
	l := s.limits.writes
	only, costly := costlyReads[id]
	switch {
	case withOwnLimit[id]:
		l = nil
	case !op.secured && op.writes():
		l = s.limits.writesFrom
	case countsAsPost[id]:
		l = s.limits.posts
	case costly:
		l = s.limits.reads
	case !op.writes():
		l = nil
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if l == nil {
			return next
		}
		return func(c echo.Context) error {
			r := c.Request()
			if only != "" && r.URL.Query().Get(only) == "" {
				return next(c)
			}
			var key string
			if !op.secured {
				key = addressKey(s.proxies.client(r))
			} else if v := viewer(r.Context()); v.User != 0 {
				key = strconv.FormatInt(v.User, 10)
			} else {
				return next(c) // counted by anonymous
			}
			if err := l.take(r.Context(), c.Response().Header(), key); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// writes tells whether the operation does more than to read.
func (op *operation) writes() bool { return op.route.Method != http.MethodGet }

// limitHistory counts a stream that begins with the history of its rooms as a costly read. Who is anonymous was
// counted already.
func (s *Server) limitHistory(ctx context.Context, h http.Header, user int64, history int) error {
	if history == 0 || user == 0 {
		return nil
	}
	return s.limits.reads.take(ctx, h, strconv.FormatInt(user, 10))
}
