package program

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/chat"
	"tandem/testservers"
)

// patience bounds every wait of the suite for something that ought to happen at once. It is no
// threshold: a test that waits this long has failed, however slow the machine.
const patience = 60 * time.Second

// TestMain runs more tests at once than there are processors, since many do nothing but wait for one of the
// contract's own times. It removes the binary that tests share.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := os.Chdir(".."); err != nil { // paths are the project's
		panic(err)
	}
	if runtime.GOMAXPROCS(0) < 16 {
		_ = flag.Set("test.parallel", "16") // the flag exists, and 16 is a number
	}
	code := m.Run()
	testservers.Close()
	if builtDir != "" {
		_ = os.RemoveAll(builtDir)
	}
	os.Exit(code)
}

// testSecret signs the access tokens of programs whose tokens a test wants to forge or alter.
const testSecret = "a test's own secret of more than thirty-two bytes"

// testServer is a running tandem as its users see it: an address, and a log that someone may read.
type testServer struct {
	url  string
	logs *logBook
	tls  *tls.Config     // whom clients trust; nil without TLS
	http *http.Transport // shared by all clients of the server, so that their connections end with it
}

// testProgram is a tandem within the test's own process.
type testProgram struct {
	*testServer
	settings Settings
	running  *Program
}

// startProgram runs the whole program on a free port with a data directory of its own, and stops it
// when the test ends. Whatever the suite knows to be secret must not be found in its log by then.
func startProgram(t *testing.T, change ...func(*Settings)) *testProgram {
	t.Helper()
	cfg := Defaults()
	cfg.Addr = "127.0.0.1:0"
	cfg.DataDir = t.TempDir()
	cfg.DatabaseURL = databaseOf(t, cfg.DataDir)
	cfg.LimitPosts, cfg.LimitLogins, cfg.LimitSignups, cfg.LimitStreams, cfg.LimitWrites, cfg.LimitReads = 0, 0, 0, 0, 0, 0 // limits_test.go asks for them
	cfg.PlainStreams = plainStreams
	for _, f := range change {
		f(&cfg)
	}
	logs := newLogBook(t)
	start := func() (*Program, error) {
		return Start(context.Background(), cfg, readSpec(t), slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}
	running, err := start()
	for tries := 1; errors.Is(err, chat.ErrUnavailable) && tries < 5; tries++ { // the database of a busy machine
		running, err = start()
	}
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	p := &testProgram{testServer: newTestServer(t, running.URL(), logs), settings: cfg, running: running}
	t.Cleanup(func() { p.stop(t) })
	return p
}

func readSpec(t *testing.T) []byte {
	t.Helper()
	spec, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// stop is what SIGTERM does. It may be called before the test's end, and again by the clean-up.
func (p *testProgram) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // the contract's bound
	defer cancel()
	if err := p.running.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// again starts a stopped program anew on the same data.
func (p *testProgram) again(t *testing.T) *testProgram {
	t.Helper()
	return startProgram(t, func(cfg *Settings) {
		*cfg = p.settings
		cfg.Addr = "127.0.0.1:0"
	})
}

// onPostgres says that the programs of the suite keep their data in PostgreSQL.
var onPostgres = os.Getenv("TANDEM_TEST_DATABASE") == "postgres"

// plainStreams says that the suite's streams have goroutines of their own (make test runs those tests both ways).
var plainStreams = os.Getenv("TANDEM_TEST_STREAMS") == "plain"

// databases has the PostgreSQL database of each data directory.
var databases sync.Map

// databaseOf is the URL of the PostgreSQL database that stands for a data directory; empty if the suite runs on SQLite.
func databaseOf(t *testing.T, dataDir string) string {
	t.Helper()
	if !onPostgres {
		return ""
	}
	url, ok := databases.Load(dataDir)
	if !ok {
		url, _ = databases.LoadOrStore(dataDir, testservers.Database(t))
	}
	return url.(string)
}

// openDatabase opens the database that stands for a data directory, past the program.
func openDatabase(t *testing.T, dataDir string) *sql.DB {
	t.Helper()
	driver, name := "sqlite", "file:"+filepath.Join(dataDir, "tandem.db")+"?mode=ro"
	if url := databaseOf(t, dataDir); url != "" {
		driver, name = "pgx", url
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func withTestSecret(cfg *Settings) { cfg.JWTSecret = testSecret }

func newTestServer(t *testing.T, url string, logs *logBook) *testServer {
	s := &testServer{url: url, logs: logs, http: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}} // sooner than the server's
	t.Cleanup(s.http.CloseIdleConnections)
	return s
}

// host is the server's address for those who dial it themselves.
func (s *testServer) host(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(s.url)
	if err != nil || u.Host == "" {
		t.Fatalf("the program's URL is %q", s.url)
	}
	return u.Host
}

// logBook is what a program logged, and what it must never log.
type logBook struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets map[string]bool
}

func newLogBook(t *testing.T) *logBook {
	b := &logBook{secrets: map[string]bool{testSecret: true}}
	t.Cleanup(func() {
		b.assertNoSecrets(t)
		if t.Failed() {
			t.Logf("the program's log ends with:\n%s", b.tail(4000))
		}
	})
	return b
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// keepSecret adds passwords, tokens and canaries that the log may not show, ever.
func (b *logBook) keepSecret(secrets ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range secrets {
		if len(s) >= 12 { // shorter ones turn up by chance
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
			t.Errorf("the log shows the secret %q:\n%s", s, line)
		}
	}
	if strings.Contains(text, "goroutine ") && strings.Contains(text, "panic") {
		t.Errorf("something panicked:\n%s", text)
	}
}

func (b *logBook) tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	return text[max(0, len(text)-n):]
}

// inParallel runs f n times at once and returns when all have ended.
func inParallel(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// slow marks a test that has to wait for one of the contract's own times. `go test -short` leaves it out.
func slow(t *testing.T, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out by -short: " + why)
	}
	t.Parallel()
}
