package api

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"tandem/chat"
)

// health reports that the process runs.
func (s *Server) health(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// ready reports that it can serve: the database answers and the server is not draining.
func (s *Server) ready(c echo.Context) error {
	if s.draining.Load() {
		return fmt.Errorf("%w: draining", chat.ErrUnavailable)
	}
	if err := s.Ready(c.Request().Context()); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) describe(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/yaml", s.spec)
}

// keys returns the public keys of access tokens. Services that cache them for 5 minutes see a new key in time: it is
// published as the second key before it signs as the first.
func (s *Server) keys(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "public, max-age=300")
	return c.Blob(http.StatusOK, "application/json", s.Auth.JWKS())
}
