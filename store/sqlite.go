package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/pressly/goose/v3"

	"tandem/chat"
)

var sqliteDialect = &dialect{
	begin:      []string{`BEGIN IMMEDIATE`}, // SQLite's own lock is the lock of the log's head
	bind:       func(query string) string { return query },
	list:       `SELECT value FROM json_each(%s)`,
	prepare:    true,
	read:       readSQLite,
	shared:     func(context.Context, *Store, string) (int64, error) { return 0, nil },
	goose:      goose.DialectSQLite3,
	migrations: "migrations/sqlite",
	// What is in the file is all there is then: the WAL holds pages with texts that were deleted since.
	tidy: `PRAGMA wal_checkpoint(TRUNCATE)`,
}

// openSQLite opens the database below cfg.Dir, and gives its name for errors.
func openSQLite(_ context.Context, cfg Config) (*Store, string, error) {
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
		"temp_store(MEMORY)", // what is rolled back leaves nothing either
		"secure_delete(ON)")  // a deleted text leaves no bytes behind in the file
	write.SetMaxOpenConns(1)
	reads := open(file, "query_only(ON)", "foreign_keys(ON)", "busy_timeout(2000)")
	reads.SetMaxOpenConns(max(4, runtime.GOMAXPROCS(0)))
	reads.SetMaxIdleConns(max(4, runtime.GOMAXPROCS(0)))

	return &Store{dialect: sqliteDialect, reads: reads, write: write, file: file}, file, nil
}

func open(file string, pragmas ...string) *sql.DB {
	q := url.Values{"_pragma": pragmas}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		panic(err) // the driver is registered by our import
	}
	return db
}

// readSQLite is the dialect's read: per topic its first ids from the index, no more than limit each, so that a long
// tail in one busy room is not walked for every page; then the rows of those that are wanted.
func readSQLite(ctx context.Context, s *Store, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error) {
	asked := make([][2]int64, 0, len(topics))
	for _, t := range topics {
		if t.After < upto {
			asked = append(asked, [2]int64{int64(t.Topic), t.After})
		}
	}
	list, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	return s.events(ctx, selectEvents+` WHERE id IN (
		SELECT f.value FROM json_each(?1) AS t, json_each((SELECT json_group_array(id) FROM (
			SELECT id FROM (SELECT id FROM events WHERE topic = t.value->>0 AND id > t.value->>1 AND id <= ?2 ORDER BY id LIMIT ?3)
			UNION ALL
			SELECT id FROM (SELECT id FROM events WHERE also = t.value->>0 AND id > t.value->>1 AND id <= ?2 ORDER BY id LIMIT ?3)
		))) AS f ORDER BY f.value LIMIT 2 * ?3) ORDER BY id LIMIT ?3`, string(list), upto, limit)
}
