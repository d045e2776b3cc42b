package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
)

type selfKey struct{}

// selfIn is the context key for this server's address as the caller of CreateInlet knows it, without a trailing slash.
func selfIn(ctx context.Context) string { return ctx.Value(selfKey{}).(string) }

// withSelf tells CreateInlet the address it was called at.
func (s *Server) withSelf(next StrictHandlerFunc, operation string) StrictHandlerFunc {
	if operation != "CreateInlet" {
		return next
	}
	return func(c echo.Context, request any) (any, error) {
		r := c.Request()
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), selfKey{}, s.proxies.self(r)+s.base)))
		return next(c, request)
	}
}

// self returns the origin that a request was sent to: that of the calling page, if it is ours, which knows best; else
// what a trusted proxy states; else the requested Host.
func (p proxies) self(r *http.Request) string {
	if origin := r.Header.Get("Origin"); ownOrigin(r, origin) {
		return origin
	}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if p.trust(parseAddr(r.RemoteAddr)) {
		// Of several proxies the first was nearest to the caller.
		if given := firstOfList(r.Header.Get("X-Forwarded-Proto")); given == "http" || given == "https" {
			scheme = given
		}
		if given := firstOfList(r.Header.Get("X-Forwarded-Host")); isHost(given) {
			host = given
		}
	}
	return scheme + "://" + host
}

func firstOfList(value string) string {
	first, _, _ := strings.Cut(value, ",")
	return strings.TrimSpace(first)
}

// isHost reports whether s can be the host and port of a URL.
func isHost(s string) bool {
	u, err := url.Parse("http://" + s)
	return err == nil && s != "" && u.Host == s && u.User == nil
}
