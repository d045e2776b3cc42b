package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tandem/chat"
)

// search is Messages for those with all of p.Words.
func (s *Store) search(ctx context.Context, topic chat.Topic, p chat.Page) (chat.MessagePage, error) {
	if s.index == nil {
		return chat.MessagePage{}, fmt.Errorf("%w: there is no index", chat.ErrUnavailable)
	}
	state, err := s.Head(ctx)
	if err != nil {
		return chat.MessagePage{}, err
	}
	// What was posted before this call is found by it, and what was deleted is not.
	if err := s.index.reach(ctx, state.Head); err != nil {
		return chat.MessagePage{}, err
	}
	// Quoted, so that nothing in them is an operator; side by side, so that all are asked for.
	match := `"` + topicWord(topic) + `"`
	for _, w := range p.Words {
		match += ` "` + w + `"`
	}
	from, side := p.Before, ` AND rowid < ? ORDER BY rowid DESC LIMIT ?`
	switch {
	case p.HasAfter:
		from, side = p.After, ` AND rowid > ? ORDER BY rowid LIMIT ?`
	case p.Before == 0:
		from = chat.MaxID + 1
	}
	const matching = `SELECT rowid FROM words WHERE words MATCH ?`
	rows, err := s.index.db.QueryContext(ctx, matching+side, match, from, p.Limit)
	if err != nil {
		return chat.MessagePage{}, unavailable(err)
	}
	ids, err := scanAll(rows, scanOne[int64])
	if err != nil {
		return chat.MessagePage{}, err
	}
	if ids == nil {
		ids = []int64{}
	}
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
	return makePage(events, p, from, func(side string, id int64) (bool, error) {
		var there bool
		err := s.index.db.QueryRowContext(ctx, `SELECT EXISTS (`+matching+strings.ReplaceAll(side, "id", "rowid")+`)`, match, id).Scan(&there)
		return there, unavailable(err)
	})
}

// topicWord is what all messages of a topic are found by. No word of a text begins with U+E000, a private character.
func topicWord(t chat.Topic) string { return "\ue000" + strconv.FormatUint(uint64(t), 36) }
