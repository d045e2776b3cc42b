// Package api is the HTTP face of tandem: routes, validation against openapi.yaml, problem+json, and the
// stream endpoint. It alone knows Echo.
package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"

	"tandem/activity"
	"tandem/auth"
	"tandem/chat"
	"tandem/panics"
	"tandem/realtime"
)

// Config is what New needs.
type Config struct {
	Chat *chat.Service
	Auth *auth.Service
	Hub  *realtime.Hub
	Spec []byte // openapi.yaml
	Page fs.FS  // the files of the page at /
	// Origins are the other pages that may call and open streams, each as a browser writes it.
	Origins        []string
	AnonymousRead  bool // public rooms without credentials
	Limits         Limits
	SharedLimiter  SharedLimiter // nil where the node counts for itself
	TrustedProxies []string      // addresses and CIDR prefixes of those whose X-Forwarded-For counts
	Ready          func(ctx context.Context) error
	Gate           *activity.Gate // that requests open; nil for none
	Logger         *slog.Logger
}

// Server answers HTTP.
type Server struct {
	Config
	echo       *echo.Echo
	operations map[string]*operation // by operationId
	proxies    proxies
	limits     limits
	draining   atomic.Bool
	requests   atomic.Uint64
	instance   string // begins the ids of this process's requests
}

// New returns a Server, or an error where the spec or the page cannot be read, or a setting makes no sense.
func New(cfg Config) (*Server, error) {
	doc, err := openapi3.NewLoader().LoadFromData(cfg.Spec)
	if err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	trusted, proxiesErr := parseProxies(cfg.TrustedProxies)
	limits, limitsErr := newLimits(cfg.Limits, cfg.SharedLimiter)
	if err := errors.Join(checkOrigins(cfg.Origins), proxiesErr, limitsErr); err != nil {
		return nil, err
	}
	s := &Server{
		Config:     cfg,
		echo:       echo.New(),
		operations: operationsOf(doc),
		proxies:    trusted,
		limits:     limits,
		instance:   strconv.FormatUint(rand.Uint64(), 36) + "-",
	}
	e := s.echo
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.problem
	// Echo's own default believes anybody's X-Forwarded-For.
	e.IPExtractor = func(r *http.Request) string { return trusted.client(r).String() }
	e.Use(s.observe, secure, s.cors(), s.awaken, checkQuery)

	guards := make(map[string][]echo.MiddlewareFunc, len(s.operations))
	for id, op := range s.operations {
		guards[id] = []echo.MiddlewareFunc{s.authenticate(op), s.receive(op), s.limitCalls(id, op), readBody(op), op.validate}
	}
	RegisterHandlersWithOptions(router{e}, NewStrictHandler(s, []StrictMiddlewareFunc{s.setCookie, s.limitConfirm}), RegisterHandlersOptions{OperationMiddlewares: guards})

	e.GET("/v1/events", s.openStream, s.operations["openStream"].validate)
	e.POST("/v1/events", s.openStream, s.operations["openStreamByPost"].validate)
	e.GET("/ws/chat/:room/", s.openTutorial, s.operations["openTutorial"].validate)
	e.GET("/ws/chat/:room", s.openTutorial, s.operations["openTutorial"].validate)
	e.Match(getOrHead, "/.well-known/jwks.json", s.keys)
	e.Match(getOrHead, "/healthz", s.health)
	e.Match(getOrHead, "/readyz", s.ready)
	e.Match(getOrHead, "/openapi.yaml", s.describe)
	if err := s.servePage(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Drain makes /readyz say that no more requests should come.
func (s *Server) Drain() { s.draining.Store(true) }

var getOrHead = []string{http.MethodGet, http.MethodHead}

// router answers HEAD wherever there is GET; net/http leaves the body out.
type router struct{ *echo.Echo }

// GET implements EchoRouter.
func (r router) GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	r.Echo.HEAD(path, h, m...)
	return r.Echo.GET(path, h, m...)
}

const headerRequestID = "X-Request-Id"

// observe gives each request an id, logs it, and turns a panic into a problem.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		start := time.Now()
		r := c.Request()
		id := r.Header.Get(headerRequestID)
		if !plainID(id) {
			id = s.instance + strconv.FormatUint(s.requests.Add(1), 36)
		}
		c.Response().Header().Set(headerRequestID, id)
		if r.ContentLength != 0 {
			// Also for bodies that nobody asks for: net/http reads on before it answers. It resets this by itself.
			_ = http.NewResponseController(c.Response()).SetReadDeadline(start.Add(bodyTimeout))
		}
		defer func() {
			if p := recover(); p != nil {
				err = panics.Error(p)
			}
			if err != nil {
				c.Error(err) // here, so that the status below is the one that is sent
				err = nil
			}
			if s.Logger.Enabled(r.Context(), slog.LevelDebug) {
				// The path without its query, where a ticket may be; escaped, since a JSON log keeps what turns text around.
				s.Logger.Debug("request", "id", id, "method", r.Method, "path", r.URL.EscapedPath(),
					"status", c.Response().Status, "took", time.Since(start))
			}
		}()
		return next(c)
	}
}

// awaken has the node be there for calls and streams, and kept there until they end. Whoever asks how it is does not
// wake it.
func (s *Server) awaken(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if !strings.HasPrefix(r.URL.Path, "/v1/") && !strings.HasPrefix(r.URL.Path, "/ws/") {
			return next(c)
		}
		if err := s.Gate.Enter(r.Context()); err != nil {
			return err
		}
		defer s.Gate.Leave()
		return next(c)
	}
}

// plainID tells whether a request id from outside may go into logs and answers.
func plainID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
