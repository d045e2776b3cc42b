package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"tandem/chat"
)

// tx is the transaction of one batch, which holds the log head's lock.
type tx struct {
	ctx    context.Context
	w      *writer
	now    time.Time
	head   int64
	events []chat.Event
	broken error // the batch cannot be saved

	scrubbed bool // texts were deleted

	// Versions seen in this batch; a job that changes rows clears them (see runJob).
	rooms, users map[int64]int64
}

// post is what Post asks for, and what came of it.
type post struct {
	guard chat.Guard
	event chat.Event // with its id, once it is posted, or the one that was posted before under the same key
	key   *chat.Key
	fresh bool // posted now
}

// post puts a message into the log, unless what was decided on has changed or its key was used before.
func (t *tx) post(p *post) error {
	if err := t.check(p.guard); err != nil {
		return err
	}
	if p.key != nil {
		earlier, found, err := t.retried(p.event.Author, p.event.Topic, p.key)
		if err != nil {
			return err
		}
		if found {
			p.event = earlier
			return nil
		}
	}
	var err error
	if p.event, err = t.append(p.event); err != nil {
		return err
	}
	p.fresh = true
	if p.key != nil {
		return t.keep(p.event.Author, p.event.Topic, p.key, p.event.ID)
	}
	return nil
}

// append puts e into the log under the next id.
func (t *tx) append(e chat.Event) (chat.Event, error) {
	e.ID = t.head + 1
	var also any
	if e.Also != chat.NoTopic {
		also = int64(e.Also)
	}
	if _, err := t.exec(`INSERT INTO events (id, topic, also, author, type, body) VALUES (?, ?, ?, ?, ?, ?)`,
		e.ID, int64(e.Topic), also, e.Author, e.Type, e.Body); err != nil {
		t.broken = err
		return chat.Event{}, err
	}
	t.head = e.ID
	t.events = append(t.events, e)
	return e, nil
}

// check returns chat.ErrStale where what was decided on has changed.
func (t *tx) check(g chat.Guard) error {
	if err := t.checkVersion(`SELECT version FROM rooms WHERE id = ?`, &t.rooms, g.Room, g.RoomVersion); err != nil {
		return err
	}
	const user = `SELECT version FROM users WHERE id = ?`
	if err := t.checkVersion(user, &t.users, g.User, g.UserVersion); err != nil {
		return err
	}
	return t.checkVersion(user, &t.users, g.Other, g.OtherVersion)
}

func (t *tx) checkVersion(query string, seen *map[int64]int64, id, want int64) error {
	if id == 0 {
		return nil
	}
	have, ok := (*seen)[id]
	if !ok {
		err := t.queryRow(query, id).Scan(&have)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.broken = err
			return err
		}
		// A row that is gone has version 0, which no decision was made on.
		if *seen == nil {
			*seen = make(map[int64]int64)
		}
		(*seen)[id] = have
	}
	if have != want {
		return chat.ErrStale
	}
	return nil
}

// retried returns the event that key stands for, if it was used before: looked up before an id is taken, as
// a number given out for nothing would be a hole in the log.
func (t *tx) retried(user int64, topic chat.Topic, key *chat.Key) (chat.Event, bool, error) {
	var fingerprint []byte
	var id int64
	err := t.queryRow(`SELECT fingerprint, event_id FROM idempotency WHERE user_id = ? AND topic = ? AND key = ?`,
		user, int64(topic), key.Name).Scan(&fingerprint, &id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return chat.Event{}, false, nil
	case err != nil:
		t.broken = err
		return chat.Event{}, false, err
	case string(fingerprint) != string(key.Fingerprint):
		return chat.Event{}, false, chat.ErrKeyMismatch
	}
	e, err := scanEvent(t.queryRow(selectEvents+` WHERE id = ?`, id))
	if err != nil {
		t.broken = err
	}
	return e, true, err
}

func (t *tx) keep(user int64, topic chat.Topic, key *chat.Key, id int64) error {
	_, err := t.exec(`INSERT INTO idempotency (user_id, topic, key, fingerprint, event_id, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		user, int64(topic), key.Name, key.Fingerprint, id, t.now.UnixMilli())
	if err != nil {
		t.broken = err
	}
	return err
}

// maxPrepared bounds the statements that are kept; there are not as many queries here.
const maxPrepared = 200

// statement is the query, prepared on the writer's connection; nil where that brings nothing.
func (t *tx) statement(query string) *sql.Stmt {
	st := t.w.prepared[query]
	if st == nil && t.w.dialect.prepare && len(t.w.prepared) < maxPrepared {
		var err error
		if st, err = t.w.conn.PrepareContext(t.ctx, query); err != nil {
			return nil // whoever runs it gets the error
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

func (t *tx) queryRow(query string, args ...any) *sql.Row {
	if st := t.statement(query); st != nil {
		return st.QueryRowContext(t.ctx, args...)
	}
	return t.w.conn.QueryRowContext(t.ctx, t.w.dialect.bind(query), args...)
}
