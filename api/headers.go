package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// The app needs its own files and connections and nothing else; for responses that are not pages it does not matter.
const policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// The API reference also writes styles into its page, with small pictures in them. See docs/decisions/0014.
const referencePolicy = policy + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:"

var securityHeaders = map[string][]string{
	"Content-Security-Policy": {policy},
	"X-Content-Type-Options":  {"nosniff"},
	"Referrer-Policy":         {"no-referrer"},
	// Responses are for the caller, now; the few that may be cached override this.
	"Cache-Control": {"no-store"},
}

// secure sets the headers that keep browsers and caches from doing more with our responses than intended.
func secure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		for name, value := range securityHeaders {
			h[name] = value // shared and never appended to, to avoid allocations
		}
		return next(c)
	}
}

// cors lets pages of the configured origins call the API. Without any, only our own page can.
func (s *Server) cors() echo.MiddlewareFunc {
	if len(s.Origins) == 0 {
		return func(next echo.HandlerFunc) echo.HandlerFunc { return next }
	}
	return middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins:     s.Origins,
		AllowCredentials: true, // for the stream cookie
		AllowMethods:     []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowHeaders:     []string{"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Range", headerRequestID},
		ExposeHeaders: []string{headerRequestID, "Retry-After", "RateLimit", "RateLimit-Policy",
			"Accept-Ranges", "Content-Disposition", "Content-Range", "ETag"},
		MaxAge: 7200, // seconds, the browsers' maximum
	})
}
