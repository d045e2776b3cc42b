package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"tandem/chat"
)

//go:embed migrations
var migrations embed.FS

// Config is what Open needs to know.
type Config struct {
	Dir string // of the database's files; made if missing
	Now func() time.Time
	// Committed is called with the events of each commit, in the order of their ids, after they are durable
	// and before their writers are answered. It must not block.
	Committed func([]chat.Event)

	sweepEvery time.Duration // for tests; 0 is the constant
}

// SQLite is the store in one SQLite file. Its methods may be called concurrently.
type SQLite struct {
	reads *sql.DB
	write *sql.DB
	log   *writer
}

// Open opens the database below cfg.Dir, brings its schema up to date and starts the log writer.
func Open(ctx context.Context, cfg Config) (*SQLite, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	file := filepath.Join(cfg.Dir, "tandem.db")
	// The file has the secret that signs tokens; SQLite gives the files beside it the same mode.
	if f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("make the database: %w", err)
	} else if err := f.Close(); err != nil {
		return nil, err
	}

	// synchronous=FULL makes WAL fsync at each commit: what is acknowledged survives a power cut.
	// One connection writes, so nothing of ours ever waits for SQLite's lock; the timeout is for others.
	write := open(file, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "busy_timeout(2000)",
		"cache_size(-16000)", "wal_autocheckpoint(4000)")
	write.SetMaxOpenConns(1)
	reads := open(file, "query_only(ON)", "foreign_keys(ON)", "busy_timeout(2000)")
	reads.SetMaxOpenConns(max(4, runtime.GOMAXPROCS(0)))
	reads.SetMaxIdleConns(max(4, runtime.GOMAXPROCS(0)))

	s := &SQLite{reads: reads, write: write}
	if err := s.prepare(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", file, err), reads.Close(), write.Close())
	}
	return s, nil
}

func open(file string, pragmas ...string) *sql.DB {
	q := url.Values{"_pragma": pragmas}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		panic(err) // the driver is registered by our import
	}
	return db
}

func (s *SQLite) prepare(ctx context.Context, cfg Config) error {
	dir, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, dir)
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	// The first start names the log; ids and names are never reused under that name.
	name := strings.ToLower(rand.Text()[:10])
	if _, err := s.write.ExecContext(ctx,
		`INSERT INTO log (one, name, head, floor) VALUES (1, ?, 0, 1) ON CONFLICT DO NOTHING`, name); err != nil {
		return err
	}
	var head, last int64
	if err := s.write.QueryRowContext(ctx,
		`SELECT head, (SELECT ifnull(max(id), 0) FROM events) FROM log`).Scan(&head, &last); err != nil {
		return err
	}
	if head != last {
		return fmt.Errorf("the log says that its head is %d, but its last event is %d: the file is damaged", head, last)
	}
	s.log, err = startWriter(ctx, s.write, cfg)
	return err
}

// Close answers the writes that wait, ends the log writer and closes the database.
func (s *SQLite) Close() error {
	s.log.stop()
	return errors.Join(s.reads.Close(), s.write.Close())
}

// Ping reports whether the database answers.
func (s *SQLite) Ping(ctx context.Context) error {
	var one int
	return unavailable(s.reads.QueryRowContext(ctx, `SELECT one FROM log`).Scan(&one))
}

// unavailable marks an error of the database as one that may pass.
func unavailable(err error) error {
	if err == nil || errors.Is(err, chat.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", chat.ErrUnavailable, err)
}

// isUnique tells whether err is the violation of a UNIQUE constraint.
func isUnique(err error) bool { return hasCode(err, sqlite3.SQLITE_CONSTRAINT_UNIQUE) }

// isForeignKey tells whether err is a reference to a row that is not there.
func isForeignKey(err error) bool { return hasCode(err, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY) }

func hasCode(err error, code int) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == code
}
