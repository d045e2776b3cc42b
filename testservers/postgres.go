package testservers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL server.
type Postgres struct {
	Port   int
	dir    string // of the cluster
	bin    string
	owner  *syscall.Credential // the user to run it as; nil for the current user
	env    []string            // more environment variables of the server
	server *daemon
	log    bytes.Buffer
}

// StartPostgres creates a cluster in a temporary directory and starts it, with further settings as name=value.
func StartPostgres(settings ...string) (*Postgres, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		path, err := exec.LookPath("postgres")
		if err != nil {
			return nil, fmt.Errorf("PostgreSQL's server %w", ErrMissing)
		}
		found = []string{path}
	}
	p := &Postgres{bin: filepath.Dir(slices.Max(found))}
	var err error
	if p.Port, err = FreePort(); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp("", "tandem-postgres-"); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // the server refuses to run as root
		if p.owner, err = credential("postgres"); err == nil {
			err = os.Chown(p.dir, int(p.owner.Uid), int(p.owner.Gid))
		}
	}
	if err == nil {
		err = p.run("initdb", "-D", p.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	}
	if err == nil {
		settings = append([]string{"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(p.Port), "unix_socket_directories=",
			"max_connections=100"}, settings...)
		err = p.configure(settings)
	}
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	return p, nil
}

// NewPostgres is like StartPostgres for one test, at whose end it removes the server.
func NewPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	p, err := StartPostgres(settings...)
	Need(t, err)
	t.Cleanup(p.Remove)
	return p
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers on every Unix
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *Postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner}
	return cmd
}

func (p *Postgres) run(program string, args ...string) error {
	if out, err := p.command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

func (p *Postgres) configure(settings []string) error {
	var conf bytes.Buffer
	for _, s := range settings {
		name, value, _ := bytes.Cut([]byte(s), []byte("="))
		fmt.Fprintf(&conf, "%s = '%s'\n", name, value)
	}
	f, err := os.OpenFile(filepath.Join(p.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(conf.Bytes())
	return errors.Join(err, f.Close())
}

// EnableTLS makes the server, which must be stopped, use TLS with the certificate and key in these files.
func (p *Postgres) EnableTLS(cert, key string) error {
	for from, name := range map[string]string{cert: "server.crt", key: "server.key"} {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		to := filepath.Join(p.data(), name)
		if err := os.WriteFile(to, text, 0o600); err != nil { // the server refuses a key that others can read
			return err
		}
		if p.owner != nil {
			if err := os.Chown(to, int(p.owner.Uid), int(p.owner.Gid)); err != nil {
				return err
			}
		}
	}
	return p.configure([]string{"ssl=on"})
}

// Start restarts the stopped server and waits until it answers.
func (p *Postgres) Start() error {
	cmd := p.command("postgres", "-D", p.data())
	cmd.Env = append(cmd.Env, p.env...)
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	var err error
	if p.server, err = start(cmd, syscall.SIGINT); err != nil {
		return err
	}
	return p.server.awaitPostgres(p.URL("postgres"), &p.log)
}

// awaitPostgres waits until PostgreSQL answers at url.
func (d *daemon) awaitPostgres(url string, log *bytes.Buffer) error {
	return d.await(log, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// URL returns the URL of the database with that name.
func (p *Postgres) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", p.Port, database)
}

// Exec runs statements in a database.
func (p *Postgres) Exec(database string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// databases counts the databases, to name them.
var databases atomic.Int64

// NewDatabase creates an empty database and returns its name.
func (p *Postgres) NewDatabase() (string, error) {
	return p.copyDatabase("template1")
}

// copyDatabase copies files: the other strategy writes each page to the log too and takes five times as long.
func (p *Postgres) copyDatabase(template string) (string, error) {
	name := fmt.Sprintf("tandem%d", databases.Add(1))
	return name, p.Exec("postgres", "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY FILE_COPY")
}

// PID returns the id of the server's process, whose children serve its connections.
func (p *Postgres) PID() int { return p.server.cmd.Process.Pid }

// Stop ends the server as an operator would (a fast shutdown); Start restarts it.
func (p *Postgres) Stop() { p.server.end(syscall.SIGINT) }

// Crash ends the server at once, like a power cut (an immediate shutdown).
func (p *Postgres) Crash() { p.server.end(syscall.SIGQUIT) }

// Freeze stops all of the server's processes from answering, until Thaw.
func (p *Postgres) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (p *Postgres) Thaw() { p.signal(syscall.SIGCONT) }

// signal signals the server's main process first, so that it does not start others meanwhile.
func (p *Postgres) signal(s syscall.Signal) {
	pid := p.PID()
	_ = syscall.Kill(pid, s)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	for _, child := range bytes.Fields(children) {
		if n, err := strconv.Atoi(string(child)); err == nil {
			_ = syscall.Kill(n, s)
		}
	}
}

// Remove ends the server and removes its files.
func (p *Postgres) Remove() {
	p.Crash()
	_ = os.RemoveAll(p.dir)
}

// shared is the server that the tests of a package share.
var shared struct {
	once   sync.Once
	p      *Postgres
	pooler *PgBouncer // nil without pooled
	err    error

	prepare  sync.Once
	template string // the name of the database that Prepared copies
	unfit    error
}

// pooled puts a pooler in front of the shared server.
var pooled = os.Getenv("TANDEM_TEST_POOLER") != ""

// Database creates an empty database for one test, on a server shared by the tests of its package, and returns its URL.
func Database(t testing.TB) string {
	t.Helper()
	p := sharedServer(t)
	name, err := p.NewDatabase()
	Need(t, err)
	return sharedURL(name)
}

// Prepared is like Database, with what prepare puts into it. prepare runs once per package, and each test gets a copy of
// its database, so all calls must pass the same function. It must leave no connection open.
func Prepared(t testing.TB, prepare func(url string) error) string {
	t.Helper()
	p := sharedServer(t)
	shared.prepare.Do(func() {
		if shared.template, shared.unfit = p.NewDatabase(); shared.unfit == nil {
			shared.unfit = prepare(p.URL(shared.template))
		}
	})
	Need(t, shared.unfit)
	name, err := p.copyDatabase(shared.template)
	Need(t, err)
	return sharedURL(name)
}

func sharedServer(t testing.TB) *Postgres {
	t.Helper()
	shared.once.Do(func() {
		// Tests do not simulate power cuts, and most of the time to create a database is spent syncing.
		shared.p, shared.err = StartPostgres("fsync=off", "max_connections=300")
		if shared.err == nil && pooled {
			shared.pooler, shared.err = StartPgBouncer(shared.p)
		}
	})
	Need(t, shared.err)
	return shared.p
}

// sharedURL returns the URL of a database on the shared server, through the pooler if there is one.
func sharedURL(name string) string {
	if shared.pooler != nil {
		return shared.pooler.URL(name)
	}
	return shared.p.URL(name)
}

// Close removes the shared server. A package's TestMain calls it after the tests.
func Close() {
	if shared.pooler != nil {
		shared.pooler.Remove()
	}
	if shared.p != nil {
		shared.p.Remove()
	}
}

// Standby starts a standby of the server with streaming replication. Promote makes it take over.
func (p *Postgres) Standby(settings ...string) (_ *Postgres, err error) {
	s := &Postgres{bin: p.bin, owner: p.owner}
	if s.Port, err = FreePort(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "tandem-postgres-"); err != nil {
		return nil, err
	}
	if s.owner != nil {
		err = os.Chown(s.dir, int(s.owner.Uid), int(s.owner.Gid))
	}
	if err == nil {
		err = s.run("pg_basebackup", "-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(p.Port), "-U", "postgres", "-R", "-c", "fast", "--no-sync")
	}
	if err == nil {
		err = s.configure(append([]string{"port=" + strconv.Itoa(s.Port)}, settings...))
	}
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// Promote turns a standby into a primary.
func (p *Postgres) Promote() error {
	return p.run("pg_ctl", "promote", "-D", p.data(), "-w")
}

// Lag stops replication to a standby, and returns when it has stopped.
func (p *Postgres) Lag() error {
	return p.Exec("postgres", `ALTER SYSTEM SET primary_conninfo = ''`, `SELECT pg_reload_conf()`, `DO $$ BEGIN
		WHILE EXISTS (SELECT FROM pg_stat_wal_receiver) LOOP PERFORM pg_sleep(0.01); END LOOP;
	END $$`)
}
