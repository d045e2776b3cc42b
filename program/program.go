// Package program is a whole tandem: it wires the parts, and starts and stops them in order. Start runs the listener and
// the hub. Stop ends them and returns after both. The tests of the whole program are in e2e, which uses it over HTTP and
// WebSocket, as its users do.
package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"tandem/activity"
	"tandem/api"
	"tandem/auth"
	"tandem/chat"
	"tandem/files"
	"tandem/followers"
	"tandem/metrics"
	"tandem/outbound"
	"tandem/push"
	"tandem/realtime"
	"tandem/store"
	"tandem/traces"
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
	failed   chan error     // the listener's error, if it ended unexpectedly
	metrics  *metricsServer // nil without metrics-addr
	silent   sync.Map       // net.Conn: those without a request yet

	cleaner   *files.Cleaner
	followers *followers.Runner
	push      *push.Service
	accounts  *auth.Service
	traces    *traces.Tracer // nil without OTEL_EXPORTER_OTLP_ENDPOINT
	outbound  *outbound.Client
	anywhere  *outbound.Client // for addresses that only the operator sets
	valkey    *valkey.Client   // nil without Valkey
	issuer    *auth.IssuerKeys // nil without a JWKS URL
	stopRuns  context.CancelFunc
	runsDone  sync.WaitGroup // the hub, and fetching the issuer's keys
	httpDone  chan struct{}

	stopOnce sync.Once
	stopErr  error
}

// ReadSpec reads the text of openapi.yaml, for Start and Settings.Check.
func ReadSpec(text []byte) (*api.Spec, error) { return api.ReadSpec(text) }

// Start opens the database, wires the parts and serves; it returns when connections are accepted. ctx only bounds the
// start.
func Start(ctx context.Context, cfg Settings, spec *api.Spec, logger *slog.Logger) (_ *Program, err error) {
	if cfg, err = cfg.complete(); err != nil {
		return nil, err
	}
	if cfg.Getenv == nil {
		cfg.Getenv = os.Getenv
	}
	p := &Program{settings: cfg, logger: logger, gate: activity.New(), failed: make(chan error, 1)}
	s := &starting{Program: p, spec: spec, measured: metrics.New(), nodes: cfg.nodes()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.undo())
		}
	}()
	if s.cert, err = cfg.certificate(); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		s.startTraces, s.openFiles, s.openStore, s.readSecret, s.connect, s.openAccounts, s.follow, s.startHub, s.openAPI, s.listen,
	} {
		if err = step(ctx); err != nil {
			return nil, err
		}
	}
	p.serve(s.cert)
	return p, nil
}

// ready checks whether the program can serve: it has asked the other nodes who is present, and the database answers.
func (p *Program) ready(ctx context.Context) error {
	if !p.hub.Met() {
		return fmt.Errorf("%w: still asking the other nodes who is online", chat.ErrUnavailable)
	}
	return p.store.Ping(ctx)
}

// Failed returns a channel with the reason if the program stops serving unexpectedly.
func (p *Program) Failed() <-chan error { return p.failed }

// Stats returns what GET /v1/admin/stats shows of this node's streams.
func (p *Program) Stats() realtime.Stats { return p.hub.Stats() }

// MetricsAddr returns the address of the metrics, or nil without metrics-addr.
func (p *Program) MetricsAddr() net.Addr {
	if p.metrics == nil {
		return nil
	}
	return p.metrics.listener.Addr()
}

// URL returns the program's URL, without its base path.
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

// Stop stops everything in the order that loses nothing: no new connections; streams are told to reconnect and end;
// running requests are answered; then the hub, then the store, which answers queued writes. It may be called more than
// once.
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
	go func() { shut <- p.http.Shutdown(drain) }() // closes the listener first; does not know streams
	p.hub.Drain(drain)
	err := <-shut
	if err != nil {
		p.logger.Warn("cutting requests that have not ended", "error", err)
		err = p.http.Close()
	}
	<-p.httpDone
	p.stopRuns()
	p.runsDone.Wait()
	p.accounts.Close()
	p.outbound.Close()
	p.anywhere.Close()
	err = errors.Join(err, p.metrics.stop(), p.store.Close())
	if tracesErr := p.traces.Close(drain); tracesErr != nil { // nothing of a chat is lost
		p.logger.Warn("the last traces were not sent", "error", tracesErr)
	}
	return err
}
