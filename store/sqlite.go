package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/pressly/goose/v3"

	"tandem/chat"
)

var sqliteDialect = &dialect{
	begin:      []string{`BEGIN IMMEDIATE`}, // SQLite's own lock is the lock of the log's head
	bind:       func(query string) string { return query },
	list:       `SELECT value FROM json_each(%s)`,
	prepare:    true,
	read:       readSQLite,
	shared:     func(context.Context, *SQLite, string) (int64, error) { return 0, nil },
	goose:      goose.DialectSQLite3,
	migrations: "migrations/sqlite",
	// What is in the file is all there is then: the WAL holds pages with texts that were deleted since.
	tidy: `PRAGMA wal_checkpoint(TRUNCATE)`,
}

// openSQLite opens the database below cfg.Dir, and gives its name for errors.
func openSQLite(cfg Config) (*SQLite, string, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("make the data directory: %w", err)
	}
	file := filepath.Join(cfg.Dir, "tandem.db")
	// The file has the secret that signs tokens; SQLite gives the files beside it the same mode.
	if f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, "", fmt.Errorf("make the database: %w", err)
	} else if err := f.Close(); err != nil {
		return nil, "", err
	}

	// synchronous=FULL makes WAL fsync at each commit: what is acknowledged survives a power cut.
	// One connection writes, so nothing of ours ever waits for SQLite's lock; the timeout is for others.
	write := open(file, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "busy_timeout(2000)",
		"cache_size(-16000)", "wal_autocheckpoint(4000)",
		"secure_delete(ON)") // a deleted text leaves no bytes behind in the file
	write.SetMaxOpenConns(1)
	reads := open(file, "query_only(ON)", "foreign_keys(ON)", "busy_timeout(2000)")
	reads.SetMaxOpenConns(max(4, runtime.GOMAXPROCS(0)))
	reads.SetMaxIdleConns(max(4, runtime.GOMAXPROCS(0)))

	return &SQLite{dialect: sqliteDialect, reads: reads, write: write}, file, nil
}

func open(file string, pragmas ...string) *sql.DB {
	q := url.Values{"_pragma": pragmas}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		panic(err) // the driver is registered by our import
	}
	return db
}

// readSQLite is the dialect's read.
func readSQLite(ctx context.Context, s *SQLite, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error) {
	// Ids first, from the topic's index and no more than limit each, so that a long tail in one busy room
	// is not walked for every page; then the rows of those that are wanted.
	var ids []int64
	for _, t := range topics {
		if t.After >= upto {
			continue
		}
		const q = `SELECT id FROM events WHERE topic = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?`
		const also = `SELECT id FROM events WHERE also = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?`
		for _, q := range []string{q, also} {
			found, err := list(ctx, s, scanOne[int64], q, int64(t.Topic), t.After, upto, limit)
			if err != nil {
				return nil, err
			}
			ids = append(ids, found...)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	ids = ids[:min(len(ids), limit)]
	wanted, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	events, err := s.events(ctx, selectEvents+` WHERE id IN (SELECT value FROM json_each(?))`, string(wanted))
	slices.SortFunc(events, func(a, b chat.Event) int { return cmp.Compare(a.ID, b.ID) })
	return events, err
}
