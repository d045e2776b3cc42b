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
	"sync/atomic"
	"time"

	"tandem/chat"
	"tandem/followers"
	"tandem/panics"
)

// index is the full-text index of messages. It follows the log with its own cursor, in its own file, so that posting
// never waits for it. It can always be rebuilt from the log, and is if it does not match the log.
type index struct {
	db     *sql.DB
	logger *slog.Logger
	take   takeWords
	eraser *eraser

	at       int64                              // everything up to it is indexed, as far as this process knows; only its follower uses it
	position atomic.Pointer[followers.Position] // nil before it follows
}

const (
	// indexVersion changes with the tables and with chat.Words; an index of a different version is rebuilt.
	indexVersion = 2
	indexPage    = 500
	// indexPause lets events accumulate, and indexShare leaves the processor to posts: after each page the index rests
	// this many times as long as the page took. A waiting search skips both.
	indexPause = 200 * time.Millisecond
	indexShare = 9
	// searchPatience is how long a search waits until earlier posts are indexed, and how long it may take then.
	searchPatience = 2 * time.Second
)

const indexSchema = `
CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, log TEXT NOT NULL, id INTEGER NOT NULL);
-- The words of a beginning are merged at each search, which takes as long as there are messages with one. Of short
-- beginnings they are many, so those are kept merged.
CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = "ascii tokenchars '` + chat.Connectors + `'", detail = 'none', prefix = '1 2 3 4');
-- A deleted message's words are taken out of the index, not marked as deleted there.
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);`

// takeWords adds an event's words to the index: indexEvent, except in tests.
type takeWords func(context.Context, *wordsTx, chat.Event) error

// wordsTx is a transaction of the index.
type wordsTx struct {
	*sql.Tx
	insert *sql.Stmt // nil until it is needed; it ends with the transaction
}

// add adds a message's words.
func (t *wordsTx) add(ctx context.Context, message int64, words string) (err error) {
	if t.insert == nil {
		if t.insert, err = t.PrepareContext(ctx, `INSERT INTO words (rowid, text) VALUES (?, ?)`); err != nil {
			return err
		}
	}
	_, err = t.insert.ExecContext(ctx, message, words)
	return err
}

func openIndex(ctx context.Context, cfg Config, log *Store) (*index, error) {
	state, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	file := filepath.Join(cfg.Dir, "search.db")
	x := &index{logger: log.logger, take: cfg.takeWords}
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
	return x, nil
}

// openIndexFile opens the index if it matches the log, or creates it if there is none.
func openIndexFile(ctx context.Context, file string, state chat.LogState) (_ *sql.DB, at int64, err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, 0, err
	}
	if err := f.Close(); err != nil {
		return nil, 0, err
	}
	// What a power cut removes from the end is indexed again.
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
		defer func() { _ = tx.Rollback() }() // no effect after a commit
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
	erasing := x.eraser.close()
	_, err := x.db.Exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	return errors.Join(erasing, err, x.db.Close())
}

// Follow makes the message index, if there is one, follow the log. Call it once, before r runs; r must have ended
// before the store is closed.
func (s *Store) Follow(r *followers.Runner) {
	x := s.index
	if x == nil {
		return
	}
	x.position.Store(r.AddLocal(followers.Local{
		Follower: followers.Follower{
			Name: "words", Batch: indexPage, Control: true, Handle: x.follow,
			Rest: func(took time.Duration) time.Duration { return max(indexPause, indexShare*took) },
		},
		Cursor: x.cursor,
	}))
}

// cursor returns up to where everything is indexed.
func (x *index) cursor(ctx context.Context) (int64, error) {
	err := x.db.QueryRowContext(ctx, `SELECT id FROM progress`).Scan(&x.at)
	return x.at, err
}

// follow indexes the next events of the log.
func (x *index) follow(ctx context.Context, b followers.Batch) error {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // no effect after a commit
	res, err := tx.ExecContext(ctx, `UPDATE progress SET id = ? WHERE id = ?`, b.Upto, x.at)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, followers.ErrMoved) // another process on the same data was here
	}
	words := &wordsTx{Tx: tx}
	for _, e := range b.Events {
		// Skip a message whose words cannot be indexed; otherwise no later message could be found.
		panics.Do(x.logger, fmt.Sprintf("indexing event %d", e.ID), func() { err = x.take(ctx, words, e) })
		if err != nil {
			return fmt.Errorf("index event %d: %w", e.ID, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	x.at = b.Upto
	if slices.ContainsFunc(b.Events, takesWords) {
		x.eraser.soon()
	}
	return nil
}

// takesWords reports whether e removes words from the index.
func takesWords(e chat.Event) bool {
	switch e.Type {
	case chat.TypeMessageDeleted, chat.TypeMessageEdited:
		return true
	case chat.TypeControl:
		c, _ := chat.ParseControl(e)
		return len(c.Expired) > 0
	}
	return false
}

func indexEvent(ctx context.Context, tx *wordsTx, e chat.Event) error {
	switch e.Type {
	case chat.TypeControl:
		c, err := chat.ParseControl(e)
		for _, message := range c.Expired {
			if err == nil {
				_, err = tx.ExecContext(ctx, `DELETE FROM words WHERE rowid = ?`, message)
			}
		}
		return err
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
	return tx.add(ctx, message, strings.Join(words, " "))
}

// reach waits until everything up to id is indexed, and returns ErrUnavailable if that takes too long.
func (x *index) reach(ctx context.Context, id int64) error {
	p := x.position.Load()
	if p == nil {
		return fmt.Errorf("%w: the index is not following the log", chat.ErrUnavailable)
	}
	patient, cancel := context.WithTimeout(ctx, searchPatience)
	defer cancel()
	err := p.Reach(patient, id)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, followers.ErrStopped):
		return errClosed
	case ctx.Err() != nil:
		return unavailable(ctx.Err())
	}
	return fmt.Errorf("%w: the index of messages has not reached %d: %w", chat.ErrUnavailable, id, err)
}
