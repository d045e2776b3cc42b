package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"tandem/chat"
)

const selectEvents = `SELECT id, topic, ifnull(also, 0), author, type, body FROM events`

// Head says where the log stands.
func (s *SQLite) Head(ctx context.Context) (chat.LogState, error) {
	var l chat.LogState
	err := s.reads.QueryRowContext(ctx, `SELECT name, floor, head FROM log`).Scan(&l.Name, &l.Floor, &l.Head)
	return l, unavailable(err)
}

// ReadAll returns the first limit events of every topic with ids in (after, upto].
func (s *SQLite) ReadAll(ctx context.Context, after, upto int64, limit int) ([]chat.Event, error) {
	return s.events(ctx, selectEvents+` WHERE id > ? AND id <= ? ORDER BY id LIMIT ?`, after, upto, limit)
}

// Read returns, in order of id and each once, the first limit events of these topics with ids behind each
// topic's own start and up to upto.
func (s *SQLite) Read(ctx context.Context, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error) {
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

// Start is the id before the n-th last message of a topic; 0 where it has fewer.
func (s *SQLite) Start(ctx context.Context, topic chat.Topic, n int) (int64, error) {
	var id int64
	err := s.reads.QueryRowContext(ctx,
		`SELECT id FROM events WHERE topic = ? AND type = ? ORDER BY id DESC LIMIT 1 OFFSET ?`,
		int64(topic), chat.TypeChatMessage, n-1).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id - 1, unavailable(err)
}

func (s *SQLite) events(ctx context.Context, query string, args ...any) ([]chat.Event, error) {
	return list(ctx, s, scanEvent, query, args...)
}

// scanEvent reads a row of selectEvents.
func scanEvent(row scanner) (e chat.Event, err error) {
	err = row.Scan(&e.ID, &e.Topic, &e.Also, &e.Author, &e.Type, &e.Body)
	return e, err
}
