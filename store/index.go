package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/activity"
	"tandem/chat"
	"tandem/panics"
)

// index is the full-text index of messages. It follows the log by a cursor of its own, in a file of its own, so that
// posting never waits for it. Whatever it holds can be made anew from the log; where it does not fit the log, it is.
//
// Its goroutine is started by openIndex and ends with close.
type index struct {
	log *Store
	db  *sql.DB

	logger *slog.Logger
	take   takeWords
	eraser *eraser
	gate   *activity.Gate

	more chan struct{} // something was committed
	stop context.CancelFunc
	done chan struct{} // closed when it has stopped

	mu      sync.Mutex
	at      int64         // everything up to it is indexed
	err     error         // why it does not go on; it tries again
	moved   chan struct{} // closed when at or err changes
	waiting int           // searches that wait for it
	hurry   chan struct{} // one began to wait
}

const (
	// indexVersion changes with the tables and with chat.Words; an index of another version is made anew.
	indexVersion = 2
	indexPage    = 500
	// indexPause lets events gather, and indexShare keeps the index from the posts' processor: after each page it rests
	// so many times as long as that took. A search that waits lets it do neither.
	indexPause = 200 * time.Millisecond
	indexShare = 9
	// indexLook is how often it looks for what other processes committed.
	indexLook = 2 * time.Second
	// searchPatience is how long a search waits for what was posted before it, and how long it may then take.
	searchPatience = 2 * time.Second
)

// errIndexFailed is why the index does not go on where following the log panicked.
var errIndexFailed = errors.New("following the log failed; the server's log says why")

const indexSchema = `
CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, log TEXT NOT NULL, id INTEGER NOT NULL);
-- The words of a beginning are merged at each search, which takes as long as there are messages with one. Of short
-- beginnings they are many, so those are kept merged.
CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = "ascii tokenchars '` + chat.Connectors + `'", detail = 'none', prefix = '1 2 3 4');
-- A deleted message's words are taken out of the index, not marked as deleted there.
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);`

// takeWords takes an event's words into the index: indexEvent, but for tests.
type takeWords func(context.Context, *sql.Tx, chat.Event) error

func openIndex(ctx context.Context, cfg Config, log *Store) (*index, error) {
	state, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	file := filepath.Join(cfg.Dir, "search.db")
	x := &index{
		log: log, logger: log.logger, take: cfg.takeWords, gate: cfg.Gate, more: make(chan struct{}, 1), done: make(chan struct{}), moved: make(chan struct{}), hurry: make(chan struct{}, 1),
	}
	for attempt := 0; ; attempt++ {
		x.db, x.at, err = openIndexFile(ctx, file, state)
		if err == nil {
			break
		}
		if attempt > 0 {
			return nil, fmt.Errorf("open %s: %w", file, err)
		}
		for _, f := range []string{file, file + "-wal", file + "-shm"} {
			if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	x.eraser = startEraser(file, cmp.Or(cfg.eraseAfter, eraseAfter), log.logger)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	x.stop = stop
	go x.run(running)
	x.signal()
	return x, nil
}

// openIndexFile opens the index if it fits the log, or makes it if there is none.
func openIndexFile(ctx context.Context, file string, state chat.LogState) (_ *sql.DB, at int64, err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, 0, err
	}
	if err := f.Close(); err != nil {
		return nil, 0, err
	}
	// What a power cut takes from the end is indexed again.
	db := open(file, "journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(2000)", "secure_delete(ON)", "temp_store(MEMORY)")
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	var tables int
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return nil, 0, err
	}
	if tables == 0 {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return nil, 0, err
		}
		defer func() { _ = tx.Rollback() }() // does nothing behind a commit
		if _, err := tx.ExecContext(ctx, indexSchema); err != nil {
			return nil, 0, err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO progress VALUES (1, ?, ?, 0)`, indexVersion, state.Name); err != nil {
			return nil, 0, err
		}
		return db, 0, tx.Commit()
	}
	var version int
	var log string
	if err := db.QueryRowContext(ctx, `SELECT version, log, id FROM progress`).Scan(&version, &log, &at); err != nil {
		return nil, 0, err
	}
	if version != indexVersion || log != state.Name || at > state.Head {
		return nil, 0, fmt.Errorf("it is of version %d, at %d of the log %s", version, at, log)
	}
	return db, at, nil
}

func (x *index) close() error {
	x.stop()
	<-x.done
	erasing := x.eraser.close()
	_, err := x.db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	return errors.Join(erasing, err, x.db.Close())
}

// signal says that the log has grown.
func (x *index) signal() {
	select {
	case x.more <- struct{}{}:
	default:
	}
}

func (x *index) run(ctx context.Context) {
	defer close(x.done)
	look := time.NewTicker(indexLook)
	defer look.Stop()
	for {
		select {
		case <-x.more:
		case <-look.C:
			if !x.gate.Open() {
				continue
			}
		case <-x.hurry:
		case <-ctx.Done():
			return
		}
		for more := true; more && ctx.Err() == nil; {
			start := time.Now()
			at, err := x.at, errIndexFailed
			panics.Do(x.logger, "following the log for the index of messages", func() { at, err = x.follow(ctx) })
			more = at > x.at || err != nil
			x.mu.Lock()
			x.at, x.err = max(x.at, at), err
			close(x.moved)
			x.moved = make(chan struct{})
			hurry := x.waiting > 0 && err == nil
			x.mu.Unlock()
			if hurry {
				continue
			}
			rest := time.NewTimer(max(indexPause, indexShare*time.Since(start)))
			select {
			case <-rest.C:
			case <-x.hurry:
			case <-ctx.Done():
			}
			rest.Stop()
		}
	}
}

// follow indexes the next events of the log and returns up to where.
func (x *index) follow(ctx context.Context) (int64, error) {
	state, err := x.log.Head(ctx)
	if err != nil || state.Head == x.at {
		return x.at, err
	}
	upto := min(state.Head, x.at+indexPage)
	events, err := x.log.ReadAll(ctx, x.at, upto, indexPage)
	if err != nil {
		return x.at, err
	}
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return x.at, err
	}
	defer func() { _ = tx.Rollback() }() // does nothing behind a commit
	res, err := tx.ExecContext(ctx, `UPDATE progress SET id = ? WHERE id = ?`, upto, x.at)
	if err != nil {
		return x.at, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		// Another process on the same data was here.
		var at int64
		err = errors.Join(err, tx.QueryRowContext(ctx, `SELECT id FROM progress`).Scan(&at))
		return at, err
	}
	for _, e := range events {
		// A message whose words cannot be taken is left out; else no message behind it could be found.
		panics.Do(x.logger, fmt.Sprintf("indexing event %d", e.ID), func() { err = x.take(ctx, tx, e) })
		if err != nil {
			return x.at, fmt.Errorf("index event %d: %w", e.ID, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return x.at, err
	}
	if slices.ContainsFunc(events, func(e chat.Event) bool { return e.Type == chat.TypeMessageDeleted || e.Type == chat.TypeMessageEdited }) {
		x.eraser.soon()
	}
	return upto, nil
}

func indexEvent(ctx context.Context, tx *sql.Tx, e chat.Event) error {
	switch e.Type {
	case chat.TypeChatMessage, chat.TypePrivateMessage, chat.TypeMessageEdited, chat.TypeMessageDeleted:
	default:
		return nil
	}
	message, text, err := chat.TextOf(e)
	if err != nil {
		return err
	}
	if e.Type == chat.TypeMessageEdited || e.Type == chat.TypeMessageDeleted {
		if _, err := tx.ExecContext(ctx, `DELETE FROM words WHERE rowid = ?`, message); err != nil {
			return err
		}
	}
	words := chat.Words(text)
	if len(words) == 0 {
		return nil
	}
	slices.Sort(words)
	words = append(slices.Compact(words), topicWord(chat.Within(e)))
	_, err = tx.ExecContext(ctx, `INSERT INTO words (rowid, text) VALUES (?, ?)`, message, strings.Join(words, " "))
	return err
}

// reach waits until everything up to id is indexed, and returns ErrUnavailable where that takes too long.
func (x *index) reach(ctx context.Context, id int64) error {
	patience := time.NewTimer(searchPatience)
	defer patience.Stop()
	x.mu.Lock()
	x.waiting++
	defer func() {
		x.mu.Lock()
		x.waiting--
		x.mu.Unlock()
	}()
	for {
		at, moved, err := x.at, x.moved, x.err
		x.mu.Unlock()
		if at >= id {
			return nil
		}
		select { // also again: the one before us may have come while it did not look
		case x.hurry <- struct{}{}:
		default:
		}
		select {
		case <-moved:
		case <-patience.C:
			return errors.Join(fmt.Errorf("%w: the index of messages stands at %d of %d", chat.ErrUnavailable, at, id), err)
		case <-x.done:
			return errClosed
		case <-ctx.Done():
			return unavailable(ctx.Err())
		}
		x.mu.Lock()
	}
}
