package harness

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/api"
	"tandem/chat"
	"tandem/program"
	"tandem/store"
	"tandem/testservers"
)

// Patience is the longest that a test waits for something that should happen at once. It is not a performance threshold: a
// test that waits this long has failed on any machine.
const Patience = 5 * time.Minute

// Within returns how long a test waits for something that the product promises within a bound: the bound if times are
// checked (Long), and Patience otherwise, since on a busy machine programs stand still for seconds.
func Within(bound time.Duration) time.Duration {
	if Long {
		return bound
	}
	return Patience
}

// Secret signs access tokens, for tests that forge or alter them.
const Secret = "a test's own secret of more than thirty-two bytes"

// Server is a running tandem as its users see it: an address, and a log for the operator.
type Server struct {
	URL  string
	Logs *logBook
	TLS  *tls.Config     // the clients' configuration; nil without TLS
	HTTP *http.Transport // shared by all clients of the server, whose connections end with it
}

// Program is a tandem that runs in the test's own process.
type Program struct {
	*Server
	Settings program.Settings
	Running  *program.Program
}

// Defaults returns program.Defaults, read once: it took 3 % of the time of e2e/rooms.
var Defaults = sync.OnceValue(func() program.Settings {
	cfg, err := program.Defaults()
	if err != nil {
		panic(err)
	}
	return cfg
})

// StartProgram runs the whole program on a free port with its own data directory, and stops it when the test ends. Then it
// checks that no secret that the suite knows is in the program's log.
func StartProgram(t *testing.T, change ...func(*program.Settings)) *Program {
	t.Helper()
	cfg := Defaults()
	cfg.Addr = "127.0.0.1:0"
	cfg.DataDir = newDataDir(t)
	cfg.DatabaseURL = DatabaseOf(t, cfg.DataDir)
	// Tests of limits turn them on.
	cfg.LimitPosts, cfg.LimitEphemeral, cfg.LimitLogins, cfg.LimitSignups = 0, 0, 0, 0
	cfg.LimitStreams, cfg.LimitWrites, cfg.LimitReads = 0, 0, 0
	cfg.PlainStreams = plainStreams
	cfg.PostgresWait = 20 * time.Second // tests of outages run the built binary, with the documented 2 s
	cfg.HashMemory = 64                 // the safe value took a third of the suite's CPU; package auth and the built binary are tested with it
	for _, f := range change {
		f(&cfg)
	}
	logs := NewLogBook(t)
	start := func() (*program.Program, error) {
		return program.Start(context.Background(), cfg, ReadSpec(t), slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}
	running, err := start()
	for tries := 1; errors.Is(err, chat.ErrUnavailable) && tries < 5; tries++ { // the database is slow on a busy machine
		running, err = start()
	}
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	p := &Program{Server: NewServer(t, running.URL(), logs), Settings: cfg, Running: running}
	t.Cleanup(func() { p.Stop(t) })
	return p
}

// ReadSpec returns openapi.yaml, which is read once per process.
func ReadSpec(t *testing.T) *api.Spec {
	t.Helper()
	spec, err := sharedSpec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

var sharedSpec = sync.OnceValues(func() (*api.Spec, error) {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	return api.ReadSpec(text)
})

// stopBound is how long tandem may take to stop (docs/deploy.md).
const stopBound = 10 * time.Second

// Stop stops the program as SIGTERM does. It may be called more than once.
func (p *Program) Stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within(stopBound))
	defer cancel()
	if err := p.Running.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// Again restarts a stopped program on the same data.
func (p *Program) Again(t *testing.T) *Program {
	t.Helper()
	return StartProgram(t, func(cfg *program.Settings) {
		*cfg = p.Settings
		cfg.Addr = "127.0.0.1:0"
	})
}

// OnPostgres reports whether the suite runs on PostgreSQL.
var OnPostgres = os.Getenv("TANDEM_TEST_DATABASE") == "postgres"

// plainStreams reports whether each stream has a goroutine, as without the poller. make test runs the stream tests both
// ways.
var plainStreams = os.Getenv("TANDEM_TEST_STREAMS") == "plain"

// databases maps each data directory to its PostgreSQL database.
var databases sync.Map

// DatabaseOf returns the URL of the PostgreSQL database for a data directory, or "" if the suite runs on SQLite.
func DatabaseOf(t *testing.T, dataDir string) string {
	t.Helper()
	if !OnPostgres {
		return ""
	}
	url, ok := databases.Load(dataDir)
	if !ok {
		url, _ = databases.LoadOrStore(dataDir, EmptyDatabase(t))
	}
	return url.(string)
}

// newDataDir returns a data directory with an empty, migrated database. Migrating every one of them took a tenth of the
// suite's CPU.
func newDataDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if OnPostgres {
		return dir
	}
	empty, err := emptyDatabase()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tandem.db"), empty, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// EmptyDatabase returns the URL of an unused PostgreSQL database, copied from a migrated one: migrating took most of the
// startup time.
func EmptyDatabase(t *testing.T) string {
	t.Helper()
	return testservers.Prepared(t, func(url string) error { return migrate(store.Config{URL: url}, "pgx", url) })
}

// migrate creates a database that is migrated but unused: its log has no name yet.
func migrate(cfg store.Config, driver, name string, more ...string) error {
	cfg.Now = time.Now
	s, err := store.Open(context.Background(), cfg)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return err
	}
	for _, statement := range append([]string{`DELETE FROM log`}, more...) {
		if err == nil {
			_, err = db.Exec(statement)
		}
	}
	return errors.Join(err, db.Close())
}

// emptyDatabase returns the bytes of a migrated, unused SQLite database.
var emptyDatabase = sync.OnceValues(func() (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "tandem-empty-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "tandem.db")
	if err := migrate(store.Config{Dir: dir}, "sqlite", "file:"+file, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// OpenDatabase opens the database of a data directory directly.
func OpenDatabase(t *testing.T, dataDir string) *sql.DB {
	t.Helper()
	driver, name := "sqlite", "file:"+filepath.Join(dataDir, "tandem.db")+"?mode=ro"
	if url := DatabaseOf(t, dataDir); url != "" {
		driver, name = "pgx", url
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func WithSecret(cfg *program.Settings) { cfg.JWTSecret = Secret }

func NewServer(t *testing.T, url string, logs *logBook) *Server {
	// Shorter than the server's timeouts, including the one for a connection without a request (ReadHeaderTimeout).
	s := &Server{URL: url, Logs: logs, HTTP: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 3 * time.Second}}
	t.Cleanup(s.HTTP.CloseIdleConnections)
	return s
}

// Host returns the server's address for tests that dial it themselves.
func (s *Server) Host(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" {
		t.Fatalf("program's URL = %q", s.URL)
	}
	return u.Host
}

// below returns the path of u relative to the server's base path, with its query.
func (s *Server) below(u *url.URL) string {
	own, err := url.Parse(s.URL)
	if err != nil {
		panic(err) // the client has already dialled it
	}
	return strings.TrimPrefix(u.RequestURI(), own.Path)
}

// logBook collects what a program logs, and the secrets that it must never log.
type logBook struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets map[string]bool
}

func NewLogBook(t *testing.T) *logBook {
	b := &logBook{secrets: map[string]bool{Secret: true}}
	t.Cleanup(func() {
		b.assertNoSecrets(t)
		if t.Failed() {
			t.Logf("end of the program's log:\n%s", b.Tail(4000))
		}
	})
	return b
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// KeepSecret adds passwords, tokens and canaries that must never appear in the log.
func (b *logBook) KeepSecret(secrets ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range secrets {
		if len(s) >= 12 { // shorter ones appear by chance
			b.secrets[s] = true
		}
	}
}

func (b *logBook) assertNoSecrets(t *testing.T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	for s := range b.secrets {
		if at := strings.Index(text, s); at >= 0 {
			line := text[strings.LastIndexByte(text[:at], '\n')+1:]
			line, _, _ = strings.Cut(line, "\n")
			t.Errorf("log contains the secret %q:\n%s", s, line)
		}
	}
	if strings.Contains(text, "goroutine ") && strings.Contains(text, "panic") {
		t.Errorf("something panicked:\n%s", text)
	}
}

func (b *logBook) Tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	return text[max(0, len(text)-n):]
}

// InParallel runs n calls of f concurrently and waits for them.
func InParallel(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// Slow marks a test that must wait for one of the contract's own times. `go test -short` skips it.
func Slow(t *testing.T, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped by -short: " + why)
	}
	t.Parallel()
}
