// Package api is the HTTP layer of tandem: routes, validation against openapi.yaml, problem+json, and the stream
// endpoint. No other package imports Echo.
package api

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"tandem/activity"
	"tandem/auth"
	"tandem/chat"
	"tandem/hooks"
	"tandem/panics"
	"tandem/push"
	"tandem/realtime"
)

// Config configures New.
type Config struct {
	Chat *chat.Service
	Auth *auth.Service
	Hub  *realtime.Hub
	Spec *Spec
	Page fs.FS // the files of the page at /
	// Origins are the other pages that may call the API and open streams, each as a browser writes it.
	Origins        []string
	BasePath       string // below which everything is served, such as /chat; empty and / are the root
	AnonymousRead  bool   // allow reading public rooms without credentials
	Files          Files
	Push           *push.Service
	Hooks          *hooks.Sender
	Limits         Limits
	SharedLimiter  SharedLimiter // nil if the node counts on its own
	TrustedProxies []string      // addresses and CIDR prefixes whose X-Forwarded-For is trusted
	Ready          func(ctx context.Context) error
	Gate           *activity.Gate // opened by requests; nil for none
	Trace          Trace          // nil if calls are not traced
	Logger         *slog.Logger
}

// Server serves HTTP.
type Server struct {
	Config
	echo       *echo.Echo
	base       string                // BasePath without its trailing slash
	spec       []byte                // openapi.yaml as it is served
	operations map[string]*operation // the spec's
	proxies    proxies
	limits     limits
	counts     counts
	draining   atomic.Bool
	requests   atomic.Uint64
	instance   string // prefix of the ids of this process's requests
}

// New returns a Server, or an error if the page cannot be read or a setting is invalid.
func New(cfg Config) (*Server, error) {
	trusted, proxiesErr := parseProxies(cfg.TrustedProxies)
	limits, limitsErr := newLimits(cfg.Limits, cfg.SharedLimiter)
	base, baseErr := parseBasePath(cfg.BasePath)
	if err := errors.Join(checkOrigins(cfg.Origins), baseErr, proxiesErr, limitsErr, cfg.Files.CheckTypes()); err != nil {
		return nil, err
	}
	spec, err := specAt(base, cfg.Spec.text)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Config:     cfg,
		base:       base,
		spec:       spec,
		echo:       echo.New(),
		operations: cfg.Spec.operations,
		proxies:    trusted,
		limits:     limits,
		instance:   strconv.FormatUint(rand.Uint64(), 36) + "-",
	}
	e := s.echo
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.problem
	e.JSONSerializer = serializer{}
	// Echo's default trusts everyone's X-Forwarded-For.
	e.IPExtractor = func(r *http.Request) string { return trusted.client(r).String() }
	// Echo wraps the handler in its middleware for each request. Ours is wrapped once, around the handler that Echo
	// finds.
	found := chain(func(c echo.Context) error { return c.Handler()(c) }, s.observe, secure, s.cors(), s.awaken, s.keepOffSocket(), checkQuery)
	e.Use(func(echo.HandlerFunc) echo.HandlerFunc { return found })

	guards := make(map[string][]echo.MiddlewareFunc, len(s.operations))
	for id, op := range s.operations {
		guards[id] = []echo.MiddlewareFunc{s.trace(id, op), s.authenticate(op), s.receive(op), s.limitCalls(id, op), readBody(op), s.audit(id), op.validate}
	}
	RegisterHandlersWithOptions(s.router(), NewStrictHandler(s, []StrictMiddlewareFunc{s.setCookie, s.limitConfirm, s.limitEvents, s.limitSessions, s.withSelf}), RegisterHandlersOptions{OperationMiddlewares: guards})

	s.routeFiles()
	s.routeInlets()
	r := s.router()
	e.GET(base+"/v1/events", s.openStream, s.operations["openStream"].validate)
	r.POST("/v1/events", s.openStream, s.operations["openStreamByPost"].validate)
	e.GET(base+"/ws/chat/:room/", s.openTutorial, s.operations["openTutorial"].validate)
	e.GET(base+"/ws/chat/:room", s.openTutorial, s.operations["openTutorial"].validate)
	r.GET("/.well-known/jwks.json", s.keys)
	r.GET("/healthz", s.health)
	r.GET("/readyz", s.ready)
	r.GET("/openapi.yaml", s.describe)
	if base != "" { // monitoring need not know a process's base
		e.Match(getOrHead, "/healthz", s.health)
		e.Match(getOrHead, "/readyz", s.ready)
		s.routeBase()
	}
	if err := s.servePage(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Drain makes /readyz announce that no more requests should come.
func (s *Server) Drain() { s.draining.Store(true) }

var getOrHead = []string{http.MethodGet, http.MethodHead}

// router mounts paths below the base. It serves HEAD wherever there is GET; net/http leaves out the body. It wraps
// handlers in their middleware once, not for each request as Echo does.
type router struct {
	*echo.Echo
	base string
}

func (s *Server) router() router { return router{s.echo, s.base} }

// GET implements EchoRouter, as do the others.
func (r router) GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	h = chain(h, m...)
	r.Echo.HEAD(r.base+path, h)
	return r.Echo.GET(r.base+path, h)
}

func (r router) POST(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.Echo.POST(r.base+path, chain(h, m...))
}

func (r router) PUT(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.Echo.PUT(r.base+path, chain(h, m...))
}

func (r router) PATCH(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.Echo.PATCH(r.base+path, chain(h, m...))
}

func (r router) DELETE(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.Echo.DELETE(r.base+path, chain(h, m...))
}

// chain returns h within its middleware, the first outermost.
func chain(h echo.HandlerFunc, middleware ...echo.MiddlewareFunc) echo.HandlerFunc {
	for _, m := range slices.Backward(middleware) {
		h = m(h)
	}
	return h
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
			// Also for unexpected bodies: net/http reads on before it responds. It resets this itself.
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
			s.counts.answer(c.Response().Status)
			if s.Logger.Enabled(r.Context(), slog.LevelDebug) {
				s.Logger.Debug("request", "id", id, "method", r.Method, "path", s.loggedPath(r.URL),
					"status", c.Response().Status, "took", time.Since(start))
			}
		}()
		return next(c)
	}
}

// awaken wakes the node for calls and streams, and keeps it awake until they end. Health checks do not wake it.
func (s *Server) awaken(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		path, below := strings.CutPrefix(r.URL.Path, s.base)
		if !below || !strings.HasPrefix(path, "/v1/") && !strings.HasPrefix(path, "/ws/") && !strings.HasPrefix(path, "/in/") {
			return next(c)
		}
		if err := s.Gate.Enter(r.Context()); err != nil {
			return err
		}
		defer s.Gate.Leave()
		return next(c)
	}
}

// loggedPath returns a request's path for the log: without the query, which may have a ticket, and without the secret
// of an inlet; escaped, because a JSON log keeps characters that change the direction of text.
func (s *Server) loggedPath(u *url.URL) string {
	// Also for paths that are not found because of a wrong slash or letter: the secret in them is valid.
	segments := strings.Split(u.Path, "/")
	for i := 1; i < len(segments) && !strings.HasPrefix(u.Path, s.base+"/v1/"); i++ {
		if strings.EqualFold(segments[i-1], "in") {
			return (&url.URL{Path: strings.Join(segments[:i], "/") + "/-"}).EscapedPath()
		}
	}
	return u.EscapedPath()
}

// plainID reports whether a request id from outside may be written to logs and responses.
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
