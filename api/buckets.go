package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
)

// countsAsPost are the operations that use limit-posts: those that can fill the log. A message can be deleted only
// once.
var countsAsPost = map[string]bool{
	"postMessage": true, "postPrivateMessage": true, "editMessage": true, "editPrivateMessage": true,
	"addReaction": true, "removeReaction": true,
	"pinMessage": true, "unpinMessage": true, "pinPrivateMessage": true, "unpinPrivateMessage": true,
}

// costlyReads are the operations that use limit-reads, some only with the named query parameter: they examine more than
// they return. All other operations return about as much as they examine.
var costlyReads = map[string]string{
	"listRooms": "", "listConversations": "", "listUsers": "", "listAccounts": "", "stats": "", "listMentions": "", "listAudit": "",
	"listMessages": "q", "listPrivateMessages": "q",
}

// withOwnLimit are operations that are counted once their cost or their target is known (see admitSignup, admitLogin,
// limitEvents and limitSessions).
var withOwnLimit = map[string]bool{"signup": true, "login": true, "emit": true, "emitPrivate": true, "createSession": true}

// limitCalls counts calls by user, or by address without one, so it runs after authenticate; and before the body is
// read. A writing operation has this limit unless it is listed here with another, so no new operation can be without. A
// repeated Idempotency-Key counts too: detecting it costs as much as a post.
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

// writes reports whether the operation writes.
func (op *operation) writes() bool { return op.route.Method != http.MethodGet }

// limitHistory counts a stream that starts with the history of its rooms as a costly read. Anonymous callers were
// counted already.
func (s *Server) limitHistory(ctx context.Context, h http.Header, user int64, history int) error {
	if history == 0 || user == 0 {
		return nil
	}
	return s.limits.reads.take(ctx, h, strconv.FormatInt(user, 10))
}
