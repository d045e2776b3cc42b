package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"tandem/chat"
)

// tx is the transaction of one batch, which holds the lock on the log's head.
type tx struct {
	ctx    context.Context
	w      *writer
	now    time.Time
	head   int64
	events []chat.Event
	broken error // the batch cannot be saved

	scrubbed bool // texts were deleted
	unfiled  bool // rows of files were deleted whose bytes still exist
}

// seen is what the writer remembers of the database from one transaction to the next, until another process commits.
type seen struct {
	written int64 // the database's number
	head    int64 // -1 if unknown
	// The versions of rooms and users by id, until a job changes rows.
	rooms, users map[int64]int64
}

func unseen() seen { return seen{head: -1, rooms: make(map[int64]int64), users: make(map[int64]int64)} }

// mostVersions bounds the versions that are remembered.
const mostVersions = 10_000

func (s *seen) forgetVersions() {
	clear(s.rooms)
	clear(s.users)
}

// recall drops what may be outdated. It is called at the beginning of a transaction.
func (s *seen) recall(t *tx) error {
	was := s.written
	if q := t.w.dialect.written; q != "" {
		if err := t.queryRow(q).Scan(&s.written); err != nil {
			return err
		}
	}
	if t.w.dialect.written == "" || s.written != was {
		s.head = -1
		s.forgetVersions()
	}
	if len(s.rooms)+len(s.users) > mostVersions {
		s.forgetVersions()
	}
	return nil
}

// readHead sets the transaction's head.
func (t *tx) readHead() error {
	if t.head = t.w.seen.head; t.head >= 0 {
		return nil
	}
	return t.queryRow(`SELECT ` + t.w.dialect.head + ` FROM log`).Scan(&t.head)
}

// post is a request to Post, and its result.
type post struct {
	guard   chat.Guard
	message chat.Message // its event with its id, once it is posted, or the one posted earlier with the same key
	key     *chat.Key
	fresh   bool // posted now
}

// alone reports whether the event is all that is written apart from the key, and the guard has no second user.
func (p *post) alone() bool {
	return p.guard.Other == 0 && p.message.Thread == 0 && len(p.message.Mentions) == 0 && p.message.Apart == 0 && p.message.Report == ""
}

// post adds a message to the log, unless its guard is stale or its key was used before.
func (t *tx) post(p *post) error {
	if err := t.check(p.guard); err != nil {
		return err
	}
	if p.key != nil {
		earlier, used, err := t.claim(p.message.Author, p.message.Topic, p.key)
		if used || err != nil {
			p.message.Event = earlier
			return err
		}
	}
	if p.message.Apart > 0 {
		if err := t.checkApart(&p.message); err != nil {
			if p.key != nil {
				t.release()
			}
			return err
		}
	}
	var err error
	if p.message.Event, err = t.append(p.message.Event); err != nil {
		return err
	}
	p.fresh = true
	if p.message.Apart > 0 {
		err = t.noteLast(&p.message)
	}
	if err == nil {
		err = t.beside(p.message)
	}
	if err != nil {
		t.broken = err
	}
	return err
}

// append adds e to the log under the next id.
func (t *tx) append(e chat.Event) (chat.Event, error) {
	e.ID = t.head + 1
	var also, thread any
	if e.Also != chat.NoTopic {
		also = int64(e.Also)
	}
	if e.Thread != 0 {
		thread = e.Thread
	}
	if _, err := t.exec(`INSERT INTO events (id, topic, also, author, thread, type, body) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		e.ID, int64(e.Topic), also, e.Author, thread, e.Type, e.Body); err != nil {
		t.broken = err
		return chat.Event{}, err
	}
	t.head = e.ID
	t.events = append(t.events, e)
	return e, nil
}

// check returns chat.ErrStale if what was decided on has changed.
func (t *tx) check(g chat.Guard) error {
	if err := t.checkVersion(`SELECT version FROM rooms WHERE id = ?`, t.w.seen.rooms, g.Room, g.RoomVersion); err != nil {
		return err
	}
	const user = `SELECT version FROM users WHERE id = ?`
	if err := t.checkVersion(user, t.w.seen.users, g.User, g.UserVersion); err != nil {
		return err
	}
	return t.checkVersion(user, t.w.seen.users, g.Other, g.OtherVersion)
}

func (t *tx) checkVersion(query string, seen map[int64]int64, id, want int64) error {
	if id == 0 {
		return nil
	}
	have, ok := seen[id]
	if !ok {
		err := t.queryRow(query, id).Scan(&have)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.broken = err
			return err
		}
		// A missing row has version 0, on which no decision is made.
		seen[id] = have
	}
	if have != want {
		return chat.ErrStale
	}
	return nil
}

// claim makes key stand for the next event. If it was used before, claim returns the event that it stands for.
func (t *tx) claim(user int64, topic chat.Topic, key *chat.Key) (earlier chat.Event, used bool, err error) {
	// Most keys are new, so no query comes first.
	n, err := affected(t, `INSERT INTO idempotency (user_id, topic, key, fingerprint, event_id, created_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (user_id, topic, key) DO NOTHING`, user, int64(topic), key.Name, key.Fingerprint, t.head+1, t.now.UnixMilli())
	if err != nil {
		t.broken = err
	}
	if err != nil || n == 1 {
		return chat.Event{}, false, err
	}
	var fingerprint []byte
	var id int64
	if err := t.queryRow(`SELECT fingerprint, event_id FROM idempotency WHERE user_id = ? AND topic = ? AND key = ?`,
		user, int64(topic), key.Name).Scan(&fingerprint, &id); err != nil {
		t.broken = err
		return chat.Event{}, false, err
	}
	if string(fingerprint) != string(key.Fingerprint) {
		return chat.Event{}, true, chat.ErrKeyMismatch
	}
	if earlier, err = scanEvent(t.queryRow(selectEvents+` WHERE id = ?`, id)); err != nil {
		t.broken = err
	}
	return earlier, true, err
}

// release takes back the claim of the next event, which is not posted after all.
func (t *tx) release() {
	if _, err := t.exec(`DELETE FROM idempotency WHERE event_id = ?`, t.head+1); err != nil {
		t.broken = err
	}
}

// maxPrepared bounds the prepared statements that are kept; there are fewer queries here.
const maxPrepared = 200

// statement returns the query prepared on the writer's connection; nil if that does not help.
func (t *tx) statement(query string) *sql.Stmt {
	st := t.w.prepared[query]
	if st == nil && t.w.dialect.prepare && len(t.w.prepared) < maxPrepared {
		var err error
		if st, err = t.w.conn.PrepareContext(t.ctx, query); err != nil {
			return nil // running it returns the error
		}
		t.w.prepared[query] = st
	}
	return st
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	if st := t.statement(query); st != nil {
		return st.ExecContext(t.ctx, args...)
	}
	return t.w.conn.ExecContext(t.ctx, t.w.dialect.bind(query), args...)
}

func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	if st := t.statement(query); st != nil {
		return st.QueryContext(t.ctx, args...)
	}
	return t.w.conn.QueryContext(t.ctx, t.w.dialect.bind(query), args...)
}

func (t *tx) queryRow(query string, args ...any) *sql.Row {
	if st := t.statement(query); st != nil {
		return st.QueryRowContext(t.ctx, args...)
	}
	return t.w.conn.QueryRowContext(t.ctx, t.w.dialect.bind(query), args...)
}
