// Package program is a whole tandem: it wires the parts, and starts and stops them in order. Start runs the
// listener and the hub; Stop ends them and returns after both. Its tests are those of the whole: they speak to a
// running program over HTTP and WebSocket, as its users do.
package program

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"tandem/activity"
	"tandem/api"
	"tandem/auth"
	"tandem/chat"
	"tandem/frontend"
	"tandem/panics"
	"tandem/realtime"
	"tandem/store"
	"tandem/valkey"
)

// Program is a running tandem.
type Program struct {
	settings Settings
	logger   *slog.Logger
	gate     *activity.Gate
	store    *store.Store
	hub      *realtime.Hub
	api      *api.Server
	http     *http.Server
	listener net.Listener
	failed   chan error     // the listener's end, if it was not asked for
	metrics  *metricsServer // nil without metrics-addr
	silent   sync.Map       // net.Conn: those that have not sent a request yet

	accounts *auth.Service
	valkey   *valkey.Client   // nil without Valkey
	issuer   *auth.IssuerKeys // nil without a JWKS URL
	stopRuns context.CancelFunc
	runsDone sync.WaitGroup // the hub, and the fetches of the issuer's keys
	httpDone chan struct{}

	stopOnce sync.Once
	stopErr  error
}

// Start opens the database, wires the parts and serves; it returns when connections are accepted. spec is the
// text of openapi.yaml. ctx bounds the start alone.
func Start(ctx context.Context, cfg Settings, spec []byte, logger *slog.Logger) (_ *Program, err error) {
	if cfg, err = cfg.complete(); err != nil {
		return nil, err
	}
	cert, err := cfg.certificate()
	if err != nil {
		return nil, err
	}
	p := &Program{settings: cfg, logger: logger, gate: activity.New(), failed: make(chan error, 1)}
	var bus realtime.Bus // before the first event is committed
	committed := func(log string, events []chat.Event) {
		bus.Send(realtime.Message{Commit: &realtime.Commit{Log: log, Events: events}})
	}
	if p.store, err = store.Open(ctx, store.Config{
		URL: cfg.DatabaseURL, Pooler: cfg.DatabasePooler, Dir: cfg.DataDir, Now: time.Now, Committed: committed, Search: true, Bounds: cfg.bounds(), Gate: p.gate, Logger: logger,
	}); err != nil {
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
	nodes := cfg.nodes()
	var limiter api.SharedLimiter
	if cfg.ValkeyURL == "" {
		bus = realtime.NewMemory()
	} else {
		if cfg.DatabaseURL == "" {
			return nil, errAlone
		}
		if p.valkey, err = valkey.NewClient(cfg.ValkeyURL, p.gate, logger); err != nil {
			return nil, err
		}
		bus = valkey.NewBus(p.valkey, nodes.Node, secret, logger)
		limiter = func(name string, size int, window time.Duration, own api.Limiter) api.Limiter {
			return valkey.NewLimiter(p.valkey, name, size, window, own)
		}
	}
	keys, err := readKeys(cfg.JWTKeyFiles)
	if err != nil {
		return nil, err
	}
	outside, err := p.outside()
	if err != nil {
		return nil, err
	}
	reserved, err := cfg.reserved()
	if err != nil {
		return nil, err
	}
	p.accounts, err = auth.New(p.store, auth.Config{
		Secret: secret, Keys: keys, Issuer: cfg.JWTIssuer, Audience: cfg.JWTAudience, Outside: outside,
		SignupClosed: cfg.Signup == "closed", Reserved: reserved, HashCommand: cfg.HashCommand, Logger: logger, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	accounts := p.accounts
	defer func() {
		if err != nil {
			accounts.Close()
		}
	}()
	if err := firstAdmin(ctx, p.store, accounts, cfg.Admin); err != nil {
		return nil, err
	}
	rooms := chat.NewService(p.store, time.Now)
	p.hub, err = realtime.New(ctx, p.store, access{rooms, accounts}, bus, realtime.Config{
		RingBytes:  cfg.RingBytes,
		MaxStreams: cfg.LimitStreams,
		Plain:      cfg.PlainStreams,
		Gate:       p.gate,
		Logger:     logger,
		Node:       nodes.Node,
		LookEvery:  nodes.LookEvery,
		Renamed: func() {
			accounts.ForgetAll()
			rooms.ForgetAll()
		},
		Control: func(c chat.ControlEvent) {
			accounts.Forget(c.Session, c.User)
			rooms.Forget(c.User)
		},
	})
	if err != nil {
		return nil, err
	}
	p.gate.Busy, p.gate.Ready = p.hub.Busy, p.hub.AwaitOthers
	p.gate.Wake = append(p.gate.Wake, p.store.Wake, p.hub.Wake)
	if p.issuer != nil {
		p.issuer.Gate = p.gate
		p.gate.Wake = append(p.gate.Wake, p.issuer.Wake)
	}
	p.api, err = api.New(api.Config{
		Gate: p.gate,
		Chat: rooms, Auth: accounts, Hub: p.hub, Spec: spec, Page: frontend.Page(), Ready: p.ready, Logger: logger,
		Origins:        cfg.Origins,
		AnonymousRead:  cfg.AnonymousRead,
		Limits:         cfg.limits(),
		SharedLimiter:  limiter,
		TrustedProxies: cfg.TrustedProxies,
	})
	if err != nil {
		return nil, err
	}
	if p.metrics, err = startMetrics(ctx, cfg.MetricsAddr, api.Metrics(p.hub, p.store.Reads, logger), logger); err != nil {
		return nil, err
	}
	if p.listener, err = api.Listen(ctx, cfg.Addr); err != nil {
		return nil, errors.Join(err, p.metrics.stop())
	}
	p.serve(cert)
	return p, nil
}

// ready tells whether the program can serve: it has asked the other nodes who is there, and the database answers.
func (p *Program) ready(ctx context.Context) error {
	if !p.hub.Met() {
		return fmt.Errorf("%w: asking the other nodes who is online", chat.ErrUnavailable)
	}
	return p.store.Ping(ctx)
}

// nodes is what there is to know where other nodes may share the database.
type nodes struct {
	Node      string // this one's name, new with each start; empty where there is no Valkey to be heard by
	LookEvery time.Duration
}

// lookAmongNodes is how late another node's events are at most, while the bus does not bring them.
const lookAmongNodes = 250 * time.Millisecond

func (s Settings) nodes() (n nodes) {
	if s.DatabaseURL != "" {
		n.LookEvery = lookAmongNodes
	}
	if s.ValkeyURL != "" {
		n.Node = rand.Text()
	}
	return n
}

var errAlone = errors.New("with valkey-url there has to be a database-url: nodes that share no database share nothing")

// HashPasswords is what a process of Settings.HashCommand does, until in ends.
func HashPasswords(in io.Reader, out io.Writer) error { return auth.HashPasswords(in, out) }

// access is what a stream may do: its session lives, and its rooms may be followed.
type access struct {
	rooms    *chat.Service
	accounts *auth.Service
}

func (a access) Follow(ctx context.Context, v chat.Viewer, names []string, open chat.OpenRooms) ([]chat.Room, []string, error) {
	if v.User != 0 { // who is anonymous has nothing that could end
		if err := a.accounts.Alive(ctx, v.User, v.Session); err != nil {
			return nil, nil, err
		}
	}
	return a.rooms.Follow(ctx, v, names, open)
}

func (a access) OpenRoom(ctx context.Context, name string) (chat.Room, error) {
	return a.rooms.OpenRoom(ctx, name)
}

func (a access) Memberships(ctx context.Context, v chat.Viewer) ([]chat.Membership, error) {
	return a.rooms.Memberships(ctx, v)
}

func readKeys(files []string) (keys []auth.Key, err error) {
	for _, file := range files {
		k, err := auth.ReadKey(file)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// outside is the outside issuer, if there is one. It is not asked here: an issuer that is down must not keep the
// program down.
func (p *Program) outside() (*auth.Outside, error) {
	cfg := p.settings
	if cfg.JWKSURL == "" {
		return nil, nil
	}
	if cfg.JWTIssuer == "" || cfg.JWTIssuer == defaultIssuer || cfg.JWTAudience == "" {
		return nil, errors.New("with jwks-url, jwt-issuer and jwt-audience must say which tokens count: their iss and aud claims")
	}
	var err error
	if p.issuer, err = auth.NewIssuerKeys(cfg.JWKSURL, p.logger); err != nil {
		return nil, err
	}
	return &auth.Outside{Keys: p.issuer, PrepareName: chat.PrepareUsername}, nil
}

const (
	// answerTimeout is how long an answer may take to be made and read.
	answerTimeout = time.Minute
	// maxH2Streams are the requests and streams of one HTTP/2 connection at once. A proxy opens more connections.
	maxH2Streams = 250
)

func (p *Program) serve(cert *tls.Certificate) {
	ctx, cancel := context.WithCancel(context.Background())
	p.stopRuns, p.httpDone = cancel, make(chan struct{})
	p.runsDone.Go(func() { panics.Keep(ctx, p.logger, "falling silent", func() { p.gate.Run(ctx) }) })
	p.runsDone.Go(func() { p.hub.Run(ctx) })
	if p.valkey != nil {
		p.runsDone.Go(func() { panics.Keep(ctx, p.logger, "connecting to Valkey", func() { p.valkey.Run(ctx) }) })
	}
	if p.issuer != nil {
		p.runsDone.Go(func() { panics.Keep(ctx, p.logger, "the issuer's keys", func() { p.issuer.Run(ctx) }) })
	}
	p.http = &http.Server{
		Handler:           p.api,
		ReadHeaderTimeout: 5 * time.Second,
		// For answers; streams take their connection over, or take this back. Whoever reads an answer byte by byte would
		// hold it in memory for as long as they like.
		WriteTimeout:   answerTimeout,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 32 << 10,
		// OPTIONS * gets a problem from us like any other path that is none.
		DisableGeneralOptionsHandler: true,
		// No ReadTimeout: bodies have a deadline of their own (api).
		ErrorLog:  slog.NewLogLogger(p.logger.Handler(), slog.LevelDebug),
		ConnState: p.noteSilent,
		Protocols: new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxH2Streams,
			// What a connection may send before anybody reads it: no body is larger, and no more of them are needed at once.
			MaxReceiveBufferPerStream:     api.MaxBody,
			MaxReceiveBufferPerConnection: 4 * api.MaxBody,
			SendPingTimeout:               30 * time.Second, // a connection that says nothing is asked whether it lives
			PingTimeout:                   15 * time.Second,
		},
	}
	p.http.Protocols.SetHTTP1(true)
	p.http.Protocols.SetHTTP2(true)
	p.http.Protocols.SetUnencryptedHTTP2(true) // from a proxy that knows us
	serve := p.http.Serve
	if cert != nil {
		p.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
		serve = func(l net.Listener) error { return p.http.ServeTLS(l, "", "") }
	}
	p.http.RegisterOnShutdown(p.closeSilent)
	go func() {
		defer close(p.httpDone)
		if err := serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			p.failed <- fmt.Errorf("serve: %w", err)
		}
	}()
}

// noteSilent keeps track of the connections that browsers open in advance: Shutdown would wait 5 s for each to
// say something.
func (p *Program) noteSilent(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		p.silent.Store(c, nil)
	default:
		p.silent.Delete(c)
	}
}

func (p *Program) closeSilent() {
	p.silent.Range(func(c, _ any) bool {
		_ = c.(net.Conn).Close()
		return true
	})
}

// Failed gives the reason if the program stops serving without being asked to.
func (p *Program) Failed() <-chan error { return p.failed }

// URL is where the program listens.
func (p *Program) URL() string {
	addr := p.listener.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http://"
	if p.settings.TLSCert != "" {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, fmt.Sprint(addr.Port))
}

// Stop ends everything in the order in which nothing is lost: no new connections; streams are told to come
// back and end; requests that run are answered; then the hub, then the store, which answers the writes that
// wait. It may be called more than once.
func (p *Program) Stop(ctx context.Context) error {
	p.stopOnce.Do(func() { p.stopErr = p.stop(ctx) })
	return p.stopErr
}

// drainFor is how long streams and requests may take to end before they are cut.
const drainFor = 5 * time.Second

func (p *Program) stop(ctx context.Context) error {
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
	p.stopRuns()
	p.runsDone.Wait()
	p.accounts.Close()
	return errors.Join(err, p.metrics.stop(), p.store.Close())
}
