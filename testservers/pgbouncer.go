package testservers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// PgBouncer is a pooler in transaction mode in front of a PostgreSQL. It has few sessions, so that each client soon
// gets another client's.
type PgBouncer struct {
	Port   int
	bin    string
	dir    string
	owner  *syscall.Credential
	server *daemon
	log    bytes.Buffer
}

// StartPgBouncer starts a pooler in front of p, with further settings as name=value.
func StartPgBouncer(p *Postgres, settings ...string) (*PgBouncer, error) {
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		bin = "/usr/sbin/pgbouncer" // Debian's, which may not be in PATH
		if _, err := os.Stat(bin); err != nil {
			return nil, fmt.Errorf("pgbouncer %w", ErrMissing)
		}
	}
	b := &PgBouncer{bin: bin, owner: p.owner}
	if b.Port, err = FreePort(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "tandem-pgbouncer-"); err != nil {
		return nil, err
	}
	if b.owner != nil { // it refuses to run as root too
		err = os.Chown(b.dir, int(b.owner.Uid), int(b.owner.Gid))
	}
	var conf bytes.Buffer
	fmt.Fprintf(&conf, "[databases]\n* = host=127.0.0.1 port=%d user=postgres\n[pgbouncer]\n", p.Port)
	for _, s := range append([]string{"listen_addr=127.0.0.1", "listen_port=" + strconv.Itoa(b.Port), "unix_socket_dir=", "auth_type=any",
		"pool_mode=transaction", "default_pool_size=4", "max_client_conn=1000", "server_login_retry=0.1"}, settings...) {
		fmt.Fprintln(&conf, s)
	}
	if err == nil {
		err = os.WriteFile(b.config(), conf.Bytes(), 0o644)
	}
	if err == nil {
		err = b.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.dir))
	}
	return b, nil
}

// NewPgBouncer is like StartPgBouncer for one test, at whose end it removes the pooler.
func NewPgBouncer(t testing.TB, p *Postgres, settings ...string) *PgBouncer {
	t.Helper()
	b, err := StartPgBouncer(p, settings...)
	Need(t, err)
	t.Cleanup(b.Remove)
	return b
}

func (b *PgBouncer) config() string { return filepath.Join(b.dir, "pgbouncer.ini") }

// Start restarts the killed pooler and waits until it answers.
func (b *PgBouncer) Start() error {
	cmd := exec.Command(b.bin, b.config())
	cmd.Dir = b.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: b.owner}
	cmd.Stdout, cmd.Stderr = &b.log, &b.log
	var err error
	if b.server, err = start(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	return b.server.awaitPostgres(b.URL("postgres")+"&default_query_exec_mode=exec", &b.log)
}

// URL returns the URL of the database with that name.
func (b *PgBouncer) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", b.Port, database)
}

// Kill ends the pooler at once; Start restarts it.
func (b *PgBouncer) Kill() { b.server.end(syscall.SIGKILL) }

// Freeze stops the pooler from answering, until Thaw.
func (b *PgBouncer) Freeze() { b.server.freeze() }

// Thaw undoes Freeze.
func (b *PgBouncer) Thaw() { b.server.thaw() }

// Remove ends the pooler and removes its files.
func (b *PgBouncer) Remove() {
	b.Kill()
	_ = os.RemoveAll(b.dir)
}
