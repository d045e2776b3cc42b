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
	w      *writer
	now    time.Time
	head   int64
	events []chat.Event
	broken error // the batch cannot be saved

	// Versions seen in this batch; a job that changes rows clears them (see runJob).
	rooms, users map[int64]int64
}

// append puts e into the log under the next id.
func (t *tx) append(e chat.Event) (chat.Event, error) {
	e.ID = t.head + 1
	var also any
	if e.Also != chat.NoTopic {
		also = int64(e.Also)
	}
	if _, err := t.w.addEvent.Exec(e.ID, int64(e.Topic), also, e.Author, e.Type, e.Body); err != nil {
		t.broken = err
		return chat.Event{}, err
	}
	t.head = e.ID
	t.events = append(t.events, e)
	return e, nil
}

// check returns chat.ErrStale where what was decided on has changed.
func (t *tx) check(g chat.Guard) error {
	if err := t.checkVersion(t.w.roomVersion, &t.rooms, g.Room, g.RoomVersion); err != nil {
		return err
	}
	return t.checkVersion(t.w.userVersion, &t.users, g.User, g.UserVersion)
}

func (t *tx) checkVersion(q *sql.Stmt, seen *map[int64]int64, id, want int64) error {
	if id == 0 {
		return nil
	}
	have, ok := (*seen)[id]
	if !ok {
		err := q.QueryRow(id).Scan(&have)
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
	err := t.w.findKey.QueryRow(user, int64(topic), key.Name).Scan(&fingerprint, &id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return chat.Event{}, false, nil
	case err != nil:
		t.broken = err
		return chat.Event{}, false, err
	case string(fingerprint) != string(key.Fingerprint):
		return chat.Event{}, false, chat.ErrKeyMismatch
	}
	e, err := scanEvent(t.w.conn.QueryRowContext(context.Background(), selectEvents+` WHERE id = ?`, id))
	if err != nil {
		t.broken = err
	}
	return e, true, err
}

func (t *tx) keep(user int64, topic chat.Topic, key *chat.Key, id int64) error {
	_, err := t.w.addKey.Exec(user, int64(topic), key.Name, key.Fingerprint, id, t.now.UnixMilli())
	if err != nil {
		t.broken = err
	}
	return err
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	return t.w.conn.ExecContext(context.Background(), query, args...)
}

func (t *tx) queryRow(query string, args ...any) *sql.Row {
	return t.w.conn.QueryRowContext(context.Background(), query, args...)
}
