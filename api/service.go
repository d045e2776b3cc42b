package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"

	"github.com/labstack/echo/v4"

	"tandem/chat"
)

// health says that the process runs.
func (s *Server) health(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// ready says that it can serve: the database answers and the server is not draining.
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
	return c.Blob(http.StatusOK, "application/yaml", s.Spec)
}

// keys are the public keys of access tokens. Whoever keeps them for 5 minutes sees a new key in time: it is
// announced as the second before it signs as the first.
func (s *Server) keys(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "public, max-age=300")
	return c.Blob(http.StatusOK, "application/json", s.Auth.JWKS())
}

// servePage serves each file of the page under its own path, so that every other path is a 404.
func (s *Server) servePage() error {
	return fs.WalkDir(s.Page, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(s.Page, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		etag := `"` + hex.EncodeToString(sum[:8]) + `"`
		serve := func(c echo.Context) error {
			h := c.Response().Header()
			h.Set("ETag", etag)
			h.Set("Cache-Control", "no-cache") // asks each time, and gets a 304
			http.ServeContent(c.Response(), c.Request(), path.Base(name), time.Time{}, bytes.NewReader(data))
			return nil
		}
		at := "/" + name
		if name == "index.html" {
			at = "/"
		}
		s.echo.Match(getOrHead, at, serve)
		return nil
	})
}
