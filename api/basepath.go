package api

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"
)

// basePaths matches paths that need no escaping anywhere: in routes, cookies, links and openapi.yaml.
var basePaths = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// parseBasePath returns the path below which everything is served, without a trailing slash: "" for the root.
func parseBasePath(s string) (string, error) {
	base := strings.TrimSuffix(s, "/")
	if base == "" || basePaths.MatchString(base) && !overlaps(base) {
		return base, nil
	}
	return "", fmt.Errorf("base-path: %q: use a path such as /chat, of letters, digits and _ . ~ -, that the API does not use", s)
}

// overlaps reports whether a base is a health check's path, which is served below it and at the root.
func overlaps(base string) bool { return base == "/healthz" || base == "/readyz" }

// routeBase redirects the base without its slash to the app, whose links are relative.
func (s *Server) routeBase() {
	if s.base == "" {
		return
	}
	s.echo.Match(getOrHead, s.base, func(c echo.Context) error {
		to := s.base + "/"
		if query := c.Request().URL.RawQuery; query != "" {
			to += "?" + query
		}
		return c.Redirect(http.StatusMovedPermanently, to)
	})
}

var rootServer = []byte("\nservers:\n  - url: /\n")

// specAt returns openapi.yaml for a server whose paths are below base.
func specAt(base string, text []byte) ([]byte, error) {
	if base == "" {
		return text, nil
	}
	if bytes.Count(text, rootServer) != 1 {
		return nil, errors.New("openapi.yaml does not name / as its only server")
	}
	return bytes.Replace(text, rootServer, []byte("\nservers:\n  - url: "+base+"\n"), 1), nil
}
