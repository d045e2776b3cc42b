package store

import (
	"context"
	"database/sql"
	"errors"

	"tandem/chat"
)

const (
	eventColumns = `SELECT id, topic, coalesce(also, 0), author, coalesce(thread, 0), type, body`
	selectEvents = eventColumns + ` FROM events`
	// eventColumnsOf selects from a table named e.
	eventColumnsOf = `SELECT e.id, e.topic, coalesce(e.also, 0), e.author, coalesce(e.thread, 0), e.type, e.body`
)

// A room's events are in two indexes: messages outside threads in one, all others in the other, so that the former are
// found without walking past the rest. These are the indexes' own conditions, as literals: neither database uses a
// partial index if the type is an argument.
const (
	isMain = `(type = '` + chat.TypeChatMessage + `' AND thread IS NULL)`
	isRest = `(type <> '` + chat.TypeChatMessage + `' OR thread IS NOT NULL)`
)

// Head returns the state of the log.
func (s *Store) Head(ctx context.Context) (chat.LogState, error) {
	var l chat.LogState
	err := s.queryRow(ctx, `SELECT name, floor, `+s.dialect.head+` FROM log`).Scan(&l.Name, &l.Floor, &l.Head)
	return l, unavailable(err)
}

// Shared returns up to which id a log of another name equals this one; 0 if it never did. Logs diverge when a server
// takes over that had not received all commits.
func (s *Store) Shared(ctx context.Context, name string) (int64, error) {
	return s.dialect.shared(ctx, s, name)
}

// ReadAll returns the first limit events of every topic with ids in (after, upto].
func (s *Store) ReadAll(ctx context.Context, after, upto int64, limit int) ([]chat.Event, error) {
	return s.events(ctx, selectEvents+` WHERE id > ? AND id <= ? ORDER BY id LIMIT ?`, after, upto, limit)
}

// Read returns, in order of id and without duplicates, the first limit events of these topics with ids after each
// topic's start and up to upto.
func (s *Store) Read(ctx context.Context, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error) {
	return s.dialect.read(ctx, s, topics, upto, limit)
}

// Start returns the id before the n-th last message of a topic; 0 if it has fewer.
func (s *Store) Start(ctx context.Context, topic chat.Topic, n int) (int64, error) {
	var id int64
	err := s.queryRow(ctx,
		`SELECT id FROM events WHERE topic BETWEEN ?1 AND ?1 AND `+isMain+` ORDER BY topic DESC, id DESC LIMIT 1 OFFSET ?2`,
		int64(topic), n-1).Scan(&id)
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
	err = row.Scan(&e.ID, &e.Topic, &e.Also, &e.Author, &e.Thread, &e.Type, &e.Body)
	return e, err
}
