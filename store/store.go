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

// Config is what Open needs to know.
type Config struct {
	URL string // of a PostgreSQL database, postgres://…; empty for SQLite
	// Pooler says that PostgreSQL is behind a pooler that shares its sessions; it is found out if not.
	Pooler bool
	Dir    string // of SQLite's files; made if missing
	Now    func() time.Time
	// Committed is called with the name of the log and the events of each commit, in the order of their ids, after they are durable
	// and before their writers are answered. It must not block.
	Committed func(log string, events []chat.Event)
	// Search keeps the index of messages below Dir; without it searches are ErrUnavailable.
	Search bool
	Bounds chat.Bounds
	Gate   *activity.Gate // open while somebody needs the store; nil is always
	Logger *slog.Logger   // nil for none

	sweepEvery, eraseAfter time.Duration // for tests; 0 is the constant
	takeWords              takeWords     // for tests; nil is indexEvent
}

// Store is the log and what goes with it, in one of the two databases. Its methods may be called concurrently.
type Store struct {
	dialect *dialect
	reads   *sql.DB
	write   *sql.DB
	log     *writer
	index   *index // nil without Config.Search
	logger  *slog.Logger
	file    string  // SQLite's; empty for PostgreSQL
	eraser  *eraser // nil for PostgreSQL
	asked   atomic.Uint64
}

// Open opens the database, brings its schema up to date and starts the log writer.
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
		`SELECT head, (SELECT coalesce(max(id), 0) FROM events) FROM log`).Scan(&head, &last); err != nil {
		return err
	}
	if head != last {
		return fmt.Errorf("the log says that its head is %d, but its last event is %d: the file is damaged", head, last)
	}
	if cfg.takeWords == nil {
		cfg.takeWords = indexEvent
	}
	if cfg.Search {
		if s.index, err = openIndex(ctx, cfg, s); err != nil {
			return err
		}
		told := cfg.Committed
		cfg.Committed = func(log string, events []chat.Event) {
			if told != nil {
				told(log, events)
			}
			s.index.signal()
		}
	}
	if s.log, err = startWriter(ctx, s.write, s.dialect, cfg); err != nil {
		return err
	}
	if s.file != "" {
		s.eraser = startEraser(s.file, cmp.Or(cfg.eraseAfter, eraseAfter), s.log.logger)
		s.log.scrubbed = s.eraser.soon
	}
	// Here, so that the first to sign up after an update need not wait for it.
	var more atomic.Bool // one that was not waited for may yet run
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

// Close answers the writes that wait, ends the log writer and closes the database.
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

// Wake is called before the first request behind a silence: where another server has taken over meanwhile, the log gets
// its new name.
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

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return unavailable(s.queryRow(ctx, `SELECT one FROM log`).Scan(&one))
}

// unavailable marks an error of the database as one that may pass.
func unavailable(err error) error {
	if err == nil || errors.Is(err, chat.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", chat.ErrUnavailable, err)
}

// isForeignKey tells whether err is a reference to a row that is not there.
func isForeignKey(err error) bool {
	return hasCode(err, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY) || hasState(err, "23503")
}

// hasCode tells whether err is SQLite's with that extended result code.
func hasCode(err error, code int) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == code
}

// hasState tells whether err is PostgreSQL's with that SQLSTATE.
func hasState(err error, state string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == state
}
