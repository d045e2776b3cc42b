package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"tandem/auth"
	"tandem/chat"
)

// streamCookie is only sent by browsers, and only accepted on the stream endpoints: anywhere else, a page of another
// origin could act in the user's name.
const streamCookie = "tandem_stream"

var errBadOrigin = errors.New("the cookie is only accepted from this server's own pages and its allowed origins")

// setCookie sets, renews or removes the stream cookie with the responses that start, refresh or end a session.
func (s *Server) setCookie(next StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		answer, err := next(c, request)
		if err != nil {
			return nil, err
		}
		has, _ := c.Cookie(streamCookie)
		switch a := answer.(type) {
		case granted:
			if a.cookie || has != nil && has.Value == a.grant.Cookie {
				s.writeCookie(c, a.grant.Cookie, int(auth.SessionLife.Seconds()))
			}
		case Logout204Response, DeleteMe204Response:
			if has != nil {
				s.writeCookie(c, "", -1)
			}
		}
		return answer, nil
	}
}

// writeCookie sets the stream cookie for maxAge seconds.
func (s *Server) writeCookie(c echo.Context, value string, maxAge int) {
	c.SetCookie(&http.Cookie{
		Name: streamCookie, Value: value, Path: cmp.Or(s.base, "/"), MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: strings.HasPrefix(s.proxies.self(c.Request()), "https://"), // also behind a proxy that terminates TLS
	})
}

// byCookie returns the viewer of the stream cookie, if the page that opens the stream may use it.
func (s *Server) byCookie(r *http.Request, value string) (chat.Viewer, error) {
	if !s.allowedPage(r) {
		return chat.Viewer{}, errBadOrigin
	}
	id, err := s.Auth.VerifyCookie(r.Context(), value)
	return viewerOf(id), err
}

// allowedPage reports whether a page of ours, or of one of the origins, made the request. A browser that sends no
// Origin (with EventSource) sends Sec-Fetch-Site, which no page can forge (Fetch Metadata §2).
func (s *Server) allowedPage(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return r.Header.Get("Sec-Fetch-Site") == "same-origin"
	}
	return len(origins) == 1 && (slices.Contains(s.Origins, origins[0]) || ownOrigin(r, origins[0]))
}

// ownOrigin compares with the Host that the browser requested. Behind a proxy that terminates TLS we see plain HTTP, so
// https of the same host is accepted too; it is no weaker than http of it.
func ownOrigin(r *http.Request, origin string) bool {
	return r.Host != "" && (origin == "https://"+r.Host || origin == "http://"+r.Host && r.TLS == nil)
}

// checkOrigins returns an error for anything that is not exactly an origin as browsers write it.
func checkOrigins(list []string) error {
	for _, s := range list {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+strings.ToLower(u.Host) != s {
			return fmt.Errorf("origins: %q: write an origin like https://app.example.com or http://localhost:5173, without a path", s)
		}
	}
	return nil
}
