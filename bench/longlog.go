//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"tandem/store"
	"tandem/testservers"
)

// longLog is a database that has a long log once opened.
type longLog struct {
	name           string // the kind of database, for output
	events         int
	config         store.Config
	driver, source string
	fill           []string
}

func sqliteLog(dir string, events int) longLog {
	return longLog{"SQLite", events, store.Config{Dir: dir, Now: time.Now}, "sqlite", sqliteFile(dir), fillSQLite(events)}
}

func postgresLog(url string, events int) longLog {
	return longLog{"PostgreSQL", events, store.Config{URL: url, Now: time.Now}, "pgx", url, fillPostgres(events)}
}

// onBoth measures something with a long log in SQLite, and in PostgreSQL if that is installed.
func onBoth(o *options, events int, measure func(longLog) error) error {
	dir, err := os.MkdirTemp(o.dir, "tandem-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := measure(sqliteLog(dir, events)); err != nil {
		return fmt.Errorf("SQLite: %w", err)
	}
	pg, err := testservers.StartPostgres("shared_buffers=512MB", "max_wal_size=8GB")
	if errors.Is(err, testservers.ErrMissing) {
		progress("  PostgreSQL left out: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer pg.Remove()
	database, err := pg.NewDatabase()
	if err != nil {
		return err
	}
	if err := measure(postgresLog(pg.URL(database), events)); err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	return nil
}

// open creates the log, runs the fill and the other statements, and opens it.
func (d longLog) open(ctx context.Context, more ...string) (*store.Store, error) {
	s, err := store.Open(ctx, d.config) // creates the tables
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := runSQL(ctx, d.driver, d.source, append(d.fill, more...)); err != nil {
		return nil, err
	}
	progress("  %s: %s events made in %.0f s\n", d.name, thousands(d.events), time.Since(began).Seconds())
	return store.Open(ctx, d.config)
}

// eventRow is event i of a log as a writer would have stored it, except for the text: values for topic, also, author,
// type and body.
var eventRow = fmt.Sprintf(`CASE WHEN i <= 2000 THEN 2 * (%d + (i - 1) / 10) ELSE 2 * (1 + i %% %d) END, NULL, 1, 'chat_message',
	'"room":"lobby","user":"bench","sent_at":"2026-01-01T00:00:00.000Z","message":"forty-eight characters of a message over the wire"}'`,
	busyRooms+1, busyRooms)

// headAt sets the log's head.
func headAt(id int) string { return fmt.Sprintf(`UPDATE log SET head = %d`, id) }

// fillSQLite replaces the events of an SQLite database with n events.
func fillSQLite(n int) []string {
	return []string{
		`PRAGMA synchronous = OFF`,
		`DELETE FROM events`,
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO events (id, topic, also, author, type, body) SELECT i, %s FROM n`, n, eventRow),
		headAt(n),
	}
}

// fillPostgres does the same for an empty PostgreSQL database.
func fillPostgres(n int) []string {
	return []string{
		`SET synchronous_commit = off`,
		fmt.Sprintf(`INSERT INTO events (id, topic, also, author, type, body) SELECT i, %s FROM generate_series(1, %d) AS n (i)`, eventRow, n),
		headAt(n),
		`VACUUM ANALYZE events`, // as autovacuum would do eventually
	}
}

// sqliteFile returns the path of the database in a data directory.
func sqliteFile(dir string) string { return "file:" + filepath.Join(dir, "tandem.db") }

// runSQL runs statements on one connection, so that settings apply to the statements after them.
func runSQL(ctx context.Context, driver, source string, statements []string) error {
	db, err := sql.Open(driver, source)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	for _, q := range statements {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	return db.Close()
}

// memoryWatch measures this process's memory every 10,000 events.
type memoryWatch struct {
	events                         int // how many there will be
	seen                           int
	heapAtTenth, heapMost, rssMost int64
}

// saw records that n more events were handled.
func (m *memoryWatch) saw(n int) {
	before := m.seen
	if m.seen += n; m.seen/10_000 == before/10_000 {
		return
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	heap := int64(stats.HeapAlloc)
	if m.seen <= m.events/10 {
		m.heapAtTenth = max(m.heapAtTenth, heap)
	}
	m.heapMost, m.rssMost = max(m.heapMost, heap), max(m.rssMost, residentSelf())
}

// cells returns table cells: the heap after a tenth of the events and at the peak, and the peak resident memory.
func (m *memoryWatch) cells() []string {
	megabytes := func(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
	return []string{megabytes(m.heapAtTenth), megabytes(m.heapMost), megabytes(m.rssMost)}
}

// residentSelf returns this process's resident memory in bytes.
func residentSelf() int64 {
	b, _ := os.ReadFile("/proc/self/statm")
	var size, resident int64
	fmt.Sscanf(string(b), "%d %d", &size, &resident)
	return resident * int64(os.Getpagesize())
}
