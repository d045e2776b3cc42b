package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"tandem/api"
	"tandem/auth"
	"tandem/chat"
	"tandem/frontend"
	"tandem/realtime"
	"tandem/store"
)

//go:embed openapi.yaml
var spec []byte

// program is a running tandem.
type program struct {
	settings settings
	logger   *slog.Logger
	store    *store.SQLite
	hub      *realtime.Hub
	api      *api.Server
	http     *http.Server
	listener net.Listener
	failed   chan error // the listener's end, if it was not asked for

	stopHub  context.CancelFunc
	hubDone  chan struct{}
	httpDone chan struct{}

	stopOnce sync.Once
	stopErr  error
}

// start opens the database, wires the parts and serves; it returns when connections are accepted. ctx bounds
// the start alone.
func start(ctx context.Context, cfg settings, logger *slog.Logger) (_ *program, err error) {
	p := &program{settings: cfg, logger: logger, failed: make(chan error, 1)}
	bus := realtime.NewMemory()
	if p.store, err = store.Open(ctx, store.Config{Dir: cfg.DataDir, Now: time.Now, Committed: bus.Publish}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.store.Close())
		}
	}()

	secret := []byte(cfg.JWTSecret)
	if len(secret) == 0 {
		made := make([]byte, auth.MinSecret)
		_, _ = rand.Read(made) // never fails (crypto/rand)
		if secret, err = p.store.Setting(ctx, "jwt_secret", made); err != nil {
			return nil, err
		}
	}
	accounts, err := auth.New(p.store, auth.Config{
		Secret: secret, Issuer: cfg.JWTIssuer, Audience: cfg.JWTAudience, SignupClosed: cfg.Signup == "closed", Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	rooms := chat.NewService(p.store, time.Now)
	p.hub, err = realtime.New(ctx, p.store, rooms, bus, realtime.Config{RingBytes: cfg.RingBytes, Logger: logger})
	if err != nil {
		return nil, err
	}
	p.api, err = api.New(api.Config{
		Chat: rooms, Auth: accounts, Hub: p.hub, Spec: spec, Page: frontend.Page(), Ready: p.store.Ping, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	if p.listener, err = api.Listen(ctx, cfg.Addr); err != nil {
		return nil, err
	}
	p.serve()
	return p, nil
}

func (p *program) serve() {
	ctx, cancel := context.WithCancel(context.Background())
	p.stopHub, p.hubDone, p.httpDone = cancel, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(p.hubDone)
		p.hub.Run(ctx)
	}()
	p.http = &http.Server{
		Handler:           p.api,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		// No WriteTimeout: it would end streams. Bodies have a deadline of their own (api).
		ErrorLog: slog.NewLogLogger(p.logger.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(p.httpDone)
		if err := p.http.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			p.failed <- fmt.Errorf("serve: %w", err)
		}
	}()
}

// URL is where the program listens.
func (p *program) URL() string {
	addr := p.listener.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(addr.Port))
}

// Stop ends everything in the order in which nothing is lost: no new connections; streams are told to come
// back and end; requests that run are answered; then the hub, then the store, which answers the writes that
// wait. It may be called more than once.
func (p *program) Stop(ctx context.Context) error {
	p.stopOnce.Do(func() { p.stopErr = p.stop(ctx) })
	return p.stopErr
}

// drainFor is how long streams and requests may take to end before they are cut.
const drainFor = 5 * time.Second

func (p *program) stop(ctx context.Context) error {
	p.api.Drain()
	drain, cancel := context.WithTimeout(ctx, drainFor)
	defer cancel()
	shut := make(chan error, 1)
	go func() { shut <- p.http.Shutdown(drain) }() // closes the listener first; does not know of streams
	p.hub.Drain(drain)
	err := <-shut
	if err != nil {
		p.logger.Warn("requests that did not end are cut", "error", err)
		err = p.http.Close()
	}
	<-p.httpDone
	p.stopHub()
	<-p.hubDone
	return errors.Join(err, p.store.Close())
}

func newLogger(to io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		panic(err) // kong admits the four levels only
	}
	options := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}
