package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"tandem/activity"
	"tandem/chat"
)

//go:embed migrations
var migrations embed.FS

// Config configures Open.
type Config struct {
	URL string // of a PostgreSQL database, postgres://…; empty for SQLite
	// Pooler: PostgreSQL is behind a pooler that shares its sessions; detected if false.
	Pooler bool
	// PostgresWait is how long PostgreSQL may take; 0 is 1.9 s, so that a request fails within 2 s if it is gone.
	PostgresWait time.Duration
	Dir          string // for SQLite's files; created if missing
	// Existing refuses a Dir without SQLite's database, rather than create one.
	Existing bool
	Now      func() time.Time
	// Committed is called with the name of the log and the events of each commit, ordered by id, after they are durable
	// and before their writers are answered. It must not block.
	Committed func(log string, events []chat.Event)
	// Traces follows writes by their traces; nil for nobody.
	Traces Traces
	// Measured is called for each batch of writes: how many there were, how long their transaction took, and how many
	// of them the database failed. It must not block; nil to skip.
	Measured func(writes int, took time.Duration, failed int)
	// FilesRemoved is called, in the same way, when rows of files are gone whose bytes must be removed; nil to skip.
	FilesRemoved func()
	// Search keeps the message index below Dir, which Follow makes follow the log; without it, searches return
	// ErrUnavailable.
	Search bool
	Bounds chat.Bounds
	Gate   *activity.Gate // open while the store is needed; nil is always
	Logger *slog.Logger   // nil for none

	sweepEvery, eraseAfter time.Duration // for tests; 0 is the constant
	takeWords              takeWords     // for tests; nil is indexEvent
}

// Store is the log and everything beside it, in one of the two databases. Its methods may be called concurrently.
type Store struct {
	dialect *dialect
	reads   *sql.DB
	write   *sql.DB
	log     *writer
	index   *index // nil without Config.Search
	logger  *slog.Logger
	file    string  // SQLite's file; empty for PostgreSQL
	eraser  *eraser // nil for PostgreSQL
	asked   atomic.Uint64

	prepared sync.Map // the queries of reads, as *sql.Stmt; empty for PostgreSQL
	kept     atomic.Int32
}

// Open opens the database, migrates its schema and starts the log writer.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	connect := openSQLite
	if cfg.URL != "" {
		connect = openPostgres
	}
	s, name, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if err := s.prepare(ctx, cfg); err != nil {
		if s.index != nil {
			err = errors.Join(err, s.index.close())
		}
		return nil, errors.Join(fmt.Errorf("open %s: %w", name, explained(err)), s.reads.Close(), s.write.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context, cfg Config) error {
	err := s.migrate(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	// The first start names the log; ids and names are never reused under that name.
	if _, err := s.write.ExecContext(ctx,
		s.dialect.bind(`INSERT INTO log (one, name, head, floor) VALUES (1, ?, 0, 1) ON CONFLICT DO NOTHING`), newLogName()); err != nil {
		return err
	}
	var head, last int64
	if err := s.write.QueryRowContext(ctx,
		`SELECT head, `+lastEvent+` FROM log`).Scan(&head, &last); err != nil {
		return err
	}
	if head > last || head < last && s.dialect.keepHead != "" {
		return fmt.Errorf("the log's head is %d, but its last event is %d: the file is damaged", head, last)
	}
	if cfg.takeWords == nil {
		cfg.takeWords = indexEvent
	}
	if cfg.Search {
		if s.index, err = openIndex(ctx, cfg, s); err != nil {
			return err
		}
	}
	if s.log, err = startWriter(ctx, s.write, s.dialect, cfg); err != nil {
		return err
	}
	if s.file != "" {
		s.eraser = startEraser(s.file, cmp.Or(cfg.eraseAfter, eraseAfter), s.log.logger)
		s.log.scrubbed = s.eraser.soon
	}
	// Do this here, so that the first signup after an update does not wait for it.
	var more atomic.Bool // one that timed out may still run
	for more.Store(true); more.Load() && err == nil; {
		err = s.log.do(ctx, func(t *tx) error {
			left, err := fillSkeletons(t, 1000)
			more.Store(left)
			return err
		})
	}
	if err != nil {
		s.log.stop()
		err = errors.Join(err, s.eraser.close())
	}
	return err
}

// migrate brings the schema up to date.
func (s *Store) migrate(ctx context.Context) (err error) {
	dir, err := fs.Sub(migrations, s.dialect.migrations)
	if err != nil {
		return err
	}
	if s.dialect.migrating != nil {
		unlock, err := s.dialect.migrating(ctx, s.write)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	p, err := goose.NewProvider(s.dialect.goose, s.write, dir)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

func newLogName() string { return strings.ToLower(rand.Text()[:10]) }

// Close answers the queued writes, ends the log writer and closes the database.
func (s *Store) Close() error {
	s.log.stop()
	err := s.eraser.close()
	if s.index != nil {
		err = errors.Join(err, s.index.close())
	}
	err = errors.Join(err, s.reads.Close())
	if s.dialect.tidy != "" {
		_, tidyErr := s.write.Exec(s.dialect.tidy)
		err = errors.Join(err, tidyErr)
	}
	return errors.Join(err, s.write.Close())
}

// Wake is called before the first request after a silence: if another server has taken over meanwhile, the log gets its
// new name.
func (s *Store) Wake(ctx context.Context) error {
	if !s.dialect.reconnect {
		return nil
	}
	nothing := func(*tx) error { return nil }
	if s.log.do(ctx, nothing) == nil {
		return nil
	}
	return s.log.do(ctx, nothing) // over a new connection
}

// Ping checks whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return unavailable(s.queryRow(ctx, `SELECT one FROM log`).Scan(&one))
}

// unavailable marks a database error as temporary.
func unavailable(err error) error {
	if err == nil || errors.Is(err, chat.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", chat.ErrUnavailable, err)
}

// isForeignKey reports whether err is a reference to a missing row.
func isForeignKey(err error) bool {
	return hasCode(err, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY) || hasState(err, "23503")
}

// hasCode reports whether err is SQLite's with that extended result code.
func hasCode(err error, code int) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == code
}

// hasState reports whether err is PostgreSQL's with that SQLSTATE.
func hasState(err error, state string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == state
}
