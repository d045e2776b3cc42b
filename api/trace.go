package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Trace starts the span of a call, under the trace that its headers name. end takes the status of the response.
type Trace func(ctx context.Context, name string, h http.Header) (_ context.Context, end func(status int))

// trace follows calls that write: posts above all. If calls are not traced the handler stays as it is.
func (s *Server) trace(id string, op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if s.Trace == nil || !op.writes() {
			return next
		}
		return func(c echo.Context) error {
			r := c.Request()
			ctx, end := s.Trace(r.Context(), id, r.Header)
			c.SetRequest(r.WithContext(ctx))
			status := http.StatusInternalServerError // if it panics
			defer func() { end(status) }()
			err := next(c)
			status = c.Response().Status
			if err != nil {
				f, _ := faultOf(err)
				status = f.status
			}
			return err
		}
	}
}
