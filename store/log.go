package store

import (
	"context"
	"database/sql"
	"errors"

	"tandem/chat"
)

const selectEvents = `SELECT id, topic, coalesce(also, 0), author, type, body FROM events`

// Head says where the log stands.
func (s *Store) Head(ctx context.Context) (chat.LogState, error) {
	var l chat.LogState
	err := s.queryRow(ctx, `SELECT name, floor, head FROM log`).Scan(&l.Name, &l.Floor, &l.Head)
	return l, unavailable(err)
}

// Shared is up to which id a log that had another name is this one; 0 if it never was. Logs part where a server
// took over that had not got all of what was committed.
func (s *Store) Shared(ctx context.Context, name string) (int64, error) {
	return s.dialect.shared(ctx, s, name)
}

// ReadAll returns the first limit events of every topic with ids in (after, upto].
func (s *Store) ReadAll(ctx context.Context, after, upto int64, limit int) ([]chat.Event, error) {
	return s.events(ctx, selectEvents+` WHERE id > ? AND id <= ? ORDER BY id LIMIT ?`, after, upto, limit)
}

// Read returns, in order of id and each once, the first limit events of these topics with ids behind each
// topic's own start and up to upto.
func (s *Store) Read(ctx context.Context, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error) {
	return s.dialect.read(ctx, s, topics, upto, limit)
}

// Start is the id before the n-th last message of a topic; 0 where it has fewer.
func (s *Store) Start(ctx context.Context, topic chat.Topic, n int) (int64, error) {
	var id int64
	err := s.queryRow(ctx,
		`SELECT id FROM events WHERE topic = ? AND type = ? ORDER BY id DESC LIMIT 1 OFFSET ?`,
		int64(topic), chat.TypeChatMessage, n-1).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id - 1, unavailable(err)
}

func (s *Store) events(ctx context.Context, query string, args ...any) ([]chat.Event, error) {
	return list(ctx, s, scanEvent, query, args...)
}

// scanEvent reads a row of selectEvents.
func scanEvent(row scanner) (e chat.Event, err error) {
	err = row.Scan(&e.ID, &e.Topic, &e.Also, &e.Author, &e.Type, &e.Body)
	return e, err
}
