package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/pressly/goose/v3"

	"tandem/chat"
)

// lastEvent is the id of the last event in the log; 0 if it is empty.
const lastEvent = `(SELECT coalesce(max(id), 0) FROM events)`

var sqliteDialect = &dialect{
	begin: []string{`BEGIN IMMEDIATE`}, // SQLite's own lock is the lock on the log's head
	// The row's own head would be one more page in each commit. The last event is never deleted.
	head:       lastEvent,
	written:    `PRAGMA data_version`,
	bind:       func(query string) string { return query },
	list:       `SELECT value FROM json_each(%s)`,
	textList:   `SELECT value FROM json_each(%s)`,
	rows:       `json_each(?) AS v`,
	clock:      `CAST(1000 * unixepoch('subsec') AS INTEGER)`,
	prepare:    true,
	within:     withinSQLite,
	read:       readSQLite,
	shared:     func(context.Context, *Store, string) (int64, error) { return 0, nil },
	goose:      goose.DialectSQLite3,
	migrations: "migrations/sqlite",
	// Leave everything in the main file: the WAL has pages with texts that were deleted since. Earlier releases read the
	// row's head.
	tidy: `UPDATE log SET head = ` + lastEvent + `; PRAGMA wal_checkpoint(TRUNCATE)`,
}

// openSQLite opens the database below cfg.Dir, and returns its name for errors.
func openSQLite(_ context.Context, cfg Config) (*Store, string, error) {
	file := filepath.Join(cfg.Dir, "tandem.db")
	if _, err := os.Stat(file); cfg.Existing && errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("there is no tandem.db in %s: is this the server's data directory?", cfg.Dir)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, "", fmt.Errorf("create the data directory: %w", err)
	}
	// The file has the secret that signs tokens; SQLite gives the files beside it the same mode.
	if f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, "", fmt.Errorf("make the database: %w", err)
	} else if err := f.Close(); err != nil {
		return nil, "", err
	}

	// synchronous=FULL makes WAL fsync at each commit: what is acknowledged survives a power cut. One connection
	// writes, so this process never waits for SQLite's lock; the timeout is for others.
	write := open(file, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "busy_timeout(2000)",
		"cache_size(-16000)", "wal_autocheckpoint(4000)",
		"temp_store(MEMORY)", // a rollback leaves nothing on disk either
		"secure_delete(ON)")  // a deleted text leaves no bytes in the file
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
		panic(err) // our import registers the driver
	}
	return db
}

// withinSQLite implements within. SQLite uses any index with the topic, and would use only the topic of a range of
// pairs.
func withinSQLite(column, topic, after, upto string) string {
	return column + ` = ` + topic + ` AND id > ` + after + ` AND id <= ` + upto
}

// readSQLite implements read: the first ids of each topic from two indexes, merged, at most limit, so that a long tail
// in one busy room is not walked for every page; then the rows of the wanted ones. A room has messages and is never an
// event's second topic; an inbox is, and has none.
func readSQLite(ctx context.Context, s *Store, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error) {
	var rooms, inboxes [][2]int64
	for _, t := range topics {
		switch {
		case t.After >= upto:
		case t.Topic.IsRoom():
			rooms = append(rooms, [2]int64{int64(t.Topic), t.After})
		default:
			inboxes = append(inboxes, [2]int64{int64(t.Topic), t.After})
		}
	}
	args, found := []any{upto, limit}, []string(nil)
	for _, kind := range []struct {
		topics [][2]int64
		column string
		only   string
	}{{rooms, `topic`, ` AND ` + isMain}, {inboxes, `also`, ``}} {
		if len(kind.topics) == 0 {
			continue // leave out what needs no parsing
		}
		list, err := json.Marshal(kind.topics)
		if err != nil {
			return nil, err
		}
		args = append(args, string(list))
		found = append(found, fmt.Sprintf(`SELECT f.value AS id FROM json_each(?%d) AS t, json_each((SELECT json_group_array(id) FROM (
			SELECT id FROM events WHERE `, len(args))+withinSQLite(`topic`, `t.value->>0`, `t.value->>1`, `?1`)+` AND `+isRest+`
			UNION ALL
			SELECT id FROM events WHERE `+withinSQLite(kind.column, `t.value->>0`, `t.value->>1`, `?1`)+kind.only+`
			ORDER BY id LIMIT ?2))) AS f`)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return s.events(ctx, selectEvents+` WHERE id IN (SELECT id FROM (`+strings.Join(found, ` UNION ALL `)+`)
		ORDER BY id LIMIT 2 * ?2) ORDER BY id LIMIT ?2`, args...)
}
