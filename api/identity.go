package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"tandem/auth"
	"tandem/chat"
)

var errMissingToken = errors.New("send an access token: Authorization: Bearer …")

type viewerKey struct{}

// viewer is who calls; the middleware has seen to it for every operation with security.
func viewer(ctx context.Context) chat.Viewer { return ctx.Value(viewerKey{}).(chat.Viewer) }

// authenticate lets in whoever the operation's security lets in.
func (s *Server) authenticate(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if !op.secured {
			return next
		}
		return func(c echo.Context) error {
			r := c.Request()
			v, err := s.caller(r)
			if errors.Is(err, errMissingToken) && op.open && r.Header.Get("Authorization") == "" {
				v, err = s.anonymous(c)
			}
			if err != nil {
				return err
			}
			if v.Script && op.accounts || v.Only != nil && !op.inRooms {
				return chat.ErrTokenScope
			}
			c.SetRequest(r.WithContext(context.WithValue(r.Context(), viewerKey{}, v)))
			return next(c)
		}
	}
}

// caller is who the Authorization header says or, of a command over a WebSocket, whose that is: for as long as the
// token with which it was opened is good.
func (s *Server) caller(r *http.Request) (chat.Viewer, error) {
	v, overSocket := r.Context().Value(socketKey{}).(chat.Viewer)
	if !overSocket {
		return s.bearer(r)
	}
	if v.User == 0 {
		return chat.Viewer{}, errMissingToken
	}
	if !v.Expires.IsZero() && !time.Now().Before(v.Expires) {
		return chat.Viewer{}, auth.ErrTokenExpired
	}
	return v, s.Auth.Alive(r.Context(), v.User, v.Session)
}

// anonymous is whoever reads without an account, if anybody may, as often as a user may post: errMissingToken or
// errRateLimited.
func (s *Server) anonymous(c echo.Context) (chat.Viewer, error) {
	if !s.AnonymousRead {
		return chat.Viewer{}, errMissingToken
	}
	r := c.Request()
	address := addressKey(s.proxies.client(r))
	if v, overSocket := r.Context().Value(socketKey{}).(chat.Viewer); overSocket {
		address = v.Address
	}
	return chat.Viewer{Address: address}, s.limits.anonymous.take(r.Context(), c.Response().Header(), address)
}

// bearer is who the Authorization header says, or errMissingToken, auth.ErrInvalidToken or ErrTokenExpired.
func (s *Server) bearer(r *http.Request) (chat.Viewer, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") { // RFC 9110 §11.1: schemes know no case
		return chat.Viewer{}, errMissingToken
	}
	id, err := s.Auth.Verify(r.Context(), strings.TrimSpace(token))
	return viewerOf(id), err
}

func viewerOf(id auth.Identity) chat.Viewer {
	return chat.Viewer{User: id.User, Name: id.Name, Session: id.Session, Expires: id.Expires, Script: id.Script, Only: id.Rooms}
}

func identityOf(v chat.Viewer) auth.Identity {
	return auth.Identity{User: v.User, Name: v.Name, Session: v.Session, Expires: v.Expires, Script: v.Script, Rooms: v.Only}
}
