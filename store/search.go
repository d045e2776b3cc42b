package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"tandem/chat"
)

// search is Messages for a p.Query.
func (s *Store) search(ctx context.Context, topic chat.Topic, p chat.Page) (chat.MessagePage, error) {
	if s.index == nil {
		return chat.MessagePage{}, fmt.Errorf("%w: there is no index", chat.ErrUnavailable)
	}
	state, err := s.Head(ctx)
	if err != nil {
		return chat.MessagePage{}, err
	}
	// It finds what was posted before this call, and nothing that was deleted before.
	if err := s.index.reach(ctx, state.Head); err != nil {
		return chat.MessagePage{}, err
	}
	match := matchOf(topic, *p.Query)
	from, side := p.Before, ` AND rowid < ? ORDER BY rowid DESC LIMIT ?`
	switch {
	case p.HasAfter:
		from, side = p.After, ` AND rowid > ? ORDER BY rowid LIMIT ?`
	case p.Before == 0:
		from = chat.MaxID + 1
	}
	within, cancel := context.WithTimeout(ctx, searchPatience)
	defer cancel()
	ids, err := s.index.find(within, match, side, from, p.Limit+1)
	if err != nil {
		return chat.MessagePage{}, err
	}
	more := len(ids) > p.Limit
	ids = ids[:min(len(ids), p.Limit)]
	wanted, err := json.Marshal(ids)
	if err != nil {
		return chat.MessagePage{}, err
	}
	events, err := s.events(ctx, selectEvents+` WHERE id IN (`+s.dialect.numbers("?")+`)
		AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.topic = ? AND d.message_id = events.id)`, string(wanted), int64(topic))
	if err != nil {
		return chat.MessagePage{}, err
	}
	slices.SortFunc(events, func(a, b chat.Event) int {
		if p.HasAfter {
			return int(a.ID - b.ID)
		}
		return int(b.ID - a.ID)
	})
	return makePage(events, p, from, func(before bool, id int64) (bool, error) {
		switch ahead := before != p.HasAfter; {
		case ahead:
			return more, nil
		case from > chat.MaxID: // the latest page
			return false, nil
		case before:
			return s.index.finds(within, match, ` AND rowid < ?`, id)
		}
		return s.index.finds(within, match, ` AND rowid > ?`, id)
	})
}

const matching = `SELECT rowid FROM words WHERE words MATCH ?`

// find returns the matching messages on that side of an id, in that side's order.
func (x *index) find(ctx context.Context, match, side string, from int64, limit int) ([]int64, error) {
	rows, err := x.db.QueryContext(ctx, matching+side, match, from, limit)
	if err != nil {
		return nil, unavailable(err)
	}
	ids, err := scanAll(rows, scanOne[int64])
	if ids == nil {
		ids = []int64{} // not null in JSON
	}
	return ids, err
}

// finds reports whether a message on that side of an id matches.
func (x *index) finds(ctx context.Context, match, side string, id int64) (there bool, err error) {
	err = x.db.QueryRowContext(ctx, `SELECT EXISTS (`+matching+side+`)`, match, id).Scan(&there)
	return there, unavailable(err)
}

// matchOf returns the FTS5 expression of a query. Words are quoted, so that none is an operator; side by side, all of
// them are required.
func matchOf(topic chat.Topic, q chat.Query) string {
	match := `"` + topicWord(topic) + `"`
	for _, w := range q.Words {
		match += ` "` + w + `"`
	}
	if q.Beginning != "" {
		match += ` "` + q.Beginning + `" *`
	}
	return match
}

// topicWord is a word of all messages of a topic. No word of a text begins with U+E000, a private character.
func topicWord(t chat.Topic) string { return "\ue000" + strconv.FormatUint(uint64(t), 36) }
