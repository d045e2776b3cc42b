package store

import (
	"context"
	"database/sql"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"tandem/testservers"
)

// beforeTwoIndexes returns a PostgreSQL database from when one index had all of a topic's events.
func beforeTwoIndexes(t *testing.T) (place, *sql.DB) {
	t.Helper()
	p := place{URL: testservers.Database(t)}
	db, err := sql.Open("pgx", p.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	dir, err := fs.Sub(migrations, "migrations/postgres")
	if err != nil {
		t.Fatal(err)
	}
	before, err := goose.NewProvider(goose.DialectPostgres, db, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.UpTo(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{`INSERT INTO log (one, name, head, floor) VALUES (1, 'before', 1000, 1)`,
		`INSERT INTO events (id, topic, author, type, body) SELECT i, 2, 1, 'chat_message', '"x":1}' FROM generate_series(1, 1000) AS n (i)`} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	return p, db
}

// eventsIndexes returns the names of the valid and of the invalid indexes.
func eventsIndexes(t *testing.T, db *sql.DB) (valid, broken string) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), `SELECT coalesce(string_agg(c.relname, ' ' ORDER BY c.relname) FILTER (WHERE i.indisvalid), ''),
		coalesce(string_agg(c.relname, ' ') FILTER (WHERE NOT i.indisvalid), '')
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'events'::regclass`).Scan(&valid, &broken); err != nil {
		t.Fatal(err)
	}
	return valid, broken
}

const twoIndexes = "events_by_also events_main events_pkey events_rest events_threads"

// Building an index CONCURRENTLY waits for every snapshot in the database, so a node waiting for its turn holds none.
func TestNodesStartingTogetherMigrateTheIndexes(t *testing.T) {
	t.Parallel()
	p, db := beforeTwoIndexes(t)
	const nodes = 4
	ended := make(chan error)
	for range nodes {
		go func() {
			s, err := p.try(Config{})
			if err == nil {
				err = s.Close()
			}
			ended <- err
		}()
	}
	for range nodes {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if valid, broken := eventsIndexes(t, db); valid != twoIndexes || broken != "" {
		t.Errorf("indexes = %s, broken %q", valid, broken)
	}
}

// A failed attempt, as during a long dump, says why and does no harm; the next one completes it.
func TestInterruptedIndexMigrationContinues(t *testing.T) {
	t.Parallel()
	p, db := beforeTwoIndexes(t)
	dump, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Rollback() // no effect once it is done
	var n int
	if err := dump.QueryRowContext(t.Context(), `SELECT count(*) FROM events`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Open(ctx, Config{URL: p.URL, Now: time.Now})
	if err == nil {
		t.Fatal("the store opened, want an error", s.Close())
	}
	if !strings.Contains(err.Error(), "start again") || ctx.Err() != nil {
		t.Errorf("error = %v, want it to say start again", err)
	}
	if valid, broken := eventsIndexes(t, db); !strings.Contains(valid, "events_by_topic") || broken == "" {
		t.Errorf("not interrupted: indexes = %s, broken %q", valid, broken)
	}
	if err := dump.Rollback(); err != nil {
		t.Fatal(err)
	}
	p.open(t, Config{})
	if valid, broken := eventsIndexes(t, db); valid != twoIndexes || broken != "" {
		t.Errorf("indexes = %s, broken %q", valid, broken)
	}
}
