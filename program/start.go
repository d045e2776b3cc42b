package program

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"time"

	"tandem/api"
	"tandem/auth"
	"tandem/chat"
	"tandem/files"
	"tandem/followers"
	"tandem/frontend"
	"tandem/headroom"
	"tandem/hooks"
	"tandem/metrics"
	"tandem/realtime"
	"tandem/store"
	"tandem/traces"
	"tandem/valkey"
)

// starting is a Program during Start, with what only the steps of Start need. Each step relies on those before it.
type starting struct {
	*Program
	spec     *api.Spec
	cert     *tls.Certificate // nil without TLS
	measured *metrics.Metrics
	nodes    nodes
	uploads  api.Files
	secret   []byte
	bus      realtime.Bus
	busStats func() valkey.Stats // nil without Valkey
	limiter  api.SharedLimiter   // nil without Valkey
	sender   *hooks.Sender
	rooms    *chat.Service

	// nil without traces, unlike interfaces that hold a nil Tracer
	tracesWrites store.Traces
	tracesEvents realtime.Traces
	traceCall    api.Trace
}

// undo closes what the steps have opened.
func (s *starting) undo() error {
	if s.accounts != nil {
		s.accounts.Close()
	}
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}

func (s *starting) startTraces(ctx context.Context) (err error) {
	if s.traces, err = traces.New(ctx, s.nodes.Node, s.settings.Getenv, s.logger); err != nil {
		return err
	}
	if s.traces != nil {
		s.tracesWrites, s.tracesEvents, s.traceCall = s.traces, s.traces, s.traces.Start
	}
	return nil
}

func (s *starting) openFiles(ctx context.Context) (err error) {
	if s.uploads, err = s.settings.files(ctx, s.logger); err != nil {
		return err
	}
	if s.settings.ValkeyURL != "" && s.settings.FilesURL == "" {
		s.logger.Warn("files are stored in a folder; other nodes need to share it, or use files-url", "data-dir", s.settings.DataDir)
	}
	return nil
}

func (s *starting) openStore(ctx context.Context) error {
	cfg := s.settings
	opened, err := store.Open(ctx, store.Config{
		FilesRemoved: func() { s.cleaner.Signal() }, // nobody removes any before it exists
		Measured:     s.measured.Committed, Traces: s.tracesWrites,
		URL: cfg.DatabaseURL, Pooler: cfg.DatabasePooler, PostgresWait: cfg.PostgresWait, Dir: cfg.DataDir, Now: time.Now, Committed: s.committed, Search: true,
		Bounds: cfg.bounds(), Gate: s.gate, Logger: s.logger,
	})
	if err != nil {
		return err
	}
	s.store = opened
	return nil
}

// committed sends a commit's events to all nodes. The first commit comes after connect has set the bus.
func (s *starting) committed(log string, events []chat.Event) {
	commit := realtime.Commit{Log: log, Events: events}
	if s.traces == nil {
		s.bus.Send(realtime.Message{Commit: &commit})
		return
	}
	s.traces.Publish(func(parents map[int64]string) {
		commit.Traces = parents
		s.bus.Send(realtime.Message{Commit: &commit})
	})
}

func (s *starting) readSecret(ctx context.Context) (err error) {
	if s.secret = []byte(s.settings.JWTSecret); len(s.secret) > 0 {
		return nil
	}
	made := make([]byte, auth.MinSecret)
	_, _ = rand.Read(made) // never fails (crypto/rand)
	s.secret, err = s.store.Setting(ctx, "jwt_secret", made)
	return err
}

// connect sets up what nodes share: the bus and the counting of limits.
func (s *starting) connect(context.Context) (err error) {
	cfg := s.settings
	if cfg.ValkeyURL == "" {
		s.bus = realtime.NewMemory()
		return nil
	}
	if cfg.DatabaseURL == "" {
		return errAlone
	}
	if s.valkey, err = valkey.NewClient(cfg.ValkeyURL, s.gate, s.logger); err != nil {
		return err
	}
	others := valkey.NewBus(s.valkey, s.nodes.Node, s.secret, s.logger)
	s.bus, s.busStats = others, others.Stats
	s.limiter = func(name string, size int, window time.Duration, own api.Limiter) api.Limiter {
		return valkey.NewLimiter(s.valkey, name, size, window, own)
	}
	return nil
}

func (s *starting) openAccounts(ctx context.Context) error {
	cfg := s.settings
	keys, err := readKeys(cfg.JWTKeyFiles)
	if err != nil {
		return err
	}
	outside, err := s.outside()
	if err != nil {
		return err
	}
	reserved, err := cfg.reserved()
	if err != nil {
		return err
	}
	accounts, err := auth.New(s.store, auth.Config{
		Secret: s.secret, Keys: keys, Issuer: cfg.JWTIssuer, Audience: cfg.JWTAudience, Outside: outside,
		SignupClosed: cfg.Signup == "closed", Reserved: reserved, HashCommand: cfg.HashCommand, HashWait: cfg.HashWait, HashMemory: cfg.HashMemory,
		Logger: s.logger, Now: time.Now,
	})
	if err != nil {
		return err
	}
	s.accounts = accounts
	return firstAdmin(ctx, s.store, accounts, cfg.Admin)
}

// follow registers what follows the log: push notifications, hooks and retention.
func (s *starting) follow(ctx context.Context) (err error) {
	s.followers = followers.New(s.store, s.store, followers.Config{Gate: s.gate, Logger: s.logger})
	s.store.Follow(s.followers)
	if s.outbound, err = s.settings.outbound(); err != nil {
		return err
	}
	if s.push, err = s.newPush(ctx); err != nil {
		return err
	}
	s.followers.AddKind(s.push.Kind())
	s.sender = hooks.New(s.store, s.outbound, s.logger)
	s.followers.AddKind(s.sender.Kind())
	retention, err := s.settings.retention()
	if err != nil {
		return err
	}
	s.followers.AddJob(s.store.Retention(retention))
	return nil
}

func (s *starting) startHub(ctx context.Context) (err error) {
	cfg := s.settings
	s.rooms = chat.NewService(s.store, time.Now)
	if s.hub, err = realtime.New(ctx, s.store, access{s.rooms, s.accounts}, s.bus, realtime.Config{
		RingBytes:  cfg.RingBytes,
		MaxStreams: cfg.LimitStreams,
		MaxAge:     cfg.MaxStream,
		Plain:      cfg.PlainStreams,
		Gate:       s.gate,
		Logger:     s.logger,
		MemoryUsed: headroom.NewProcess().Used,
		Node:       s.nodes.Node,
		LookEvery:  s.nodes.LookEvery,
		LastSeen:   s.store.SetLastSeen,
		Renamed: func() {
			s.accounts.ForgetAll()
			s.rooms.ForgetAll()
		},
		Control: func(c chat.ControlEvent) {
			s.accounts.Forget(c.Session, c.User)
			s.rooms.Forget(c.User)
			if c.Push {
				s.push.Kick()
			}
		},
		Delivered: s.followers.Tell,
		Latency:   s.measured.Latency,
		Traces:    s.tracesEvents,
	}); err != nil {
		return err
	}
	s.anywhere = anywhere()
	asking, err := cfg.asking(s.outbound, s.anywhere, s.logger)
	if err != nil {
		return err
	}
	asking.Notify = s.hub.PublishAll
	s.rooms.AskBefore(asking)
	s.gate.Busy = func() bool { return s.hub.Busy() || s.followers.Busy() || s.push.Busy() }
	s.gate.Ready = s.hub.AwaitOthers
	s.gate.Wake = append(s.gate.Wake, s.store.Wake, s.hub.Wake)
	if s.issuer != nil {
		s.issuer.Gate = s.gate
		s.gate.Wake = append(s.gate.Wake, s.issuer.Wake)
	}
	return nil
}

func (s *starting) openAPI(context.Context) (err error) {
	cfg := s.settings
	if s.uploads.LinkKey, err = hkdf.Key(sha256.New, s.secret, nil, "links to files", sha256.Size); err != nil {
		return err
	}
	s.cleaner = files.NewCleaner(s.store, s.uploads.Blobs, s.gate.Open, s.logger)
	s.api, err = api.New(api.Config{
		Trace: s.traceCall,
		Gate:  s.gate, Files: s.uploads, Push: s.push, Hooks: s.sender,
		Chat: s.rooms, Auth: s.accounts, Hub: s.hub, Spec: s.spec, Page: frontend.Page(), Ready: s.ready, Logger: s.logger,
		Origins:        cfg.Origins,
		BasePath:       cfg.BasePath,
		AnonymousRead:  cfg.AnonymousRead,
		Limits:         cfg.limits(),
		SharedLimiter:  s.limiter,
		TrustedProxies: cfg.TrustedProxies,
	})
	return err
}

// listen opens the listeners for the API and for metrics.
func (s *starting) listen(ctx context.Context) (err error) {
	figures := s.measured.Handler(metrics.Sources{
		Hub: s.hub.Stats, API: s.api.Counts, Followers: s.followers.Stats, Bus: s.busStats,
		Reads: s.store.Reads, Waiting: s.store.Waiting, FilesRemoved: s.cleaner.Removed, Awake: s.gate.Open,
	}, s.logger)
	if s.metrics, err = startMetrics(ctx, s.settings.MetricsAddr, figures, s.logger); err != nil {
		return err
	}
	if s.listener, err = api.Listen(ctx, s.settings.Addr); err != nil {
		return errors.Join(err, s.metrics.stop())
	}
	return nil
}
