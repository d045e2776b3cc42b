package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"tandem/auth"
	"tandem/chat"
)

var errMissingToken = errors.New("send an access token: Authorization: Bearer …")

type viewerKey struct{}

// viewer returns the caller, whom the middleware has authenticated for every operation with security.
func viewer(ctx context.Context) chat.Viewer { return ctx.Value(viewerKey{}).(chat.Viewer) }

// authenticate accepts the callers that the operation's security allows.
func (s *Server) authenticate(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if !op.secured {
			return next
		}
		return func(c echo.Context) error {
			r := c.Request()
			v, err := s.caller(r, op.scope)
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

// caller returns the viewer of the Authorization header or, for a command over a WebSocket, of its connection, as long
// as the token it was opened with is valid. Operations with a scope are only for API tokens that have it.
func (s *Server) caller(r *http.Request, scope string) (chat.Viewer, error) {
	v, overSocket := r.Context().Value(socketKey{}).(chat.Viewer)
	if !overSocket {
		return s.bearer(r, scope)
	}
	if v.User == 0 {
		return chat.Viewer{}, errMissingToken
	}
	if !v.Expires.IsZero() && !time.Now().Before(v.Expires) {
		return chat.Viewer{}, auth.ErrTokenExpired
	}
	return v, s.Auth.Alive(r.Context(), v.User, v.Session)
}

// anonymous accepts a reader without an account, if that is allowed, as often as a user may post: errMissingToken or
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

// bearer returns the viewer of the Authorization header, or errMissingToken, auth.ErrInvalidToken or ErrTokenExpired;
// and chat.ErrTokenScope for an API token that is limited to other scopes or lacks the required one.
func (s *Server) bearer(r *http.Request, scope string) (chat.Viewer, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") { // RFC 9110 §11.1: schemes are case-insensitive
		return chat.Viewer{}, errMissingToken
	}
	id, err := s.Auth.Verify(r.Context(), strings.TrimSpace(token))
	if err == nil && (id.Scopes != nil || scope != "") && !slices.Contains(id.Scopes, scope) {
		err = chat.ErrTokenScope
	}
	return viewerOf(id), err
}

func viewerOf(id auth.Identity) chat.Viewer {
	return chat.Viewer{User: id.User, Name: id.Name, Session: id.Session, Expires: id.Expires, Script: id.Script, Only: id.Rooms, Scopes: id.Scopes}
}

func identityOf(v chat.Viewer) auth.Identity {
	return auth.Identity{User: v.User, Name: v.Name, Session: v.Session, Expires: v.Expires, Script: v.Script, Rooms: v.Only, Scopes: v.Scopes}
}
