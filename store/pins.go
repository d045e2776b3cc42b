package store

import (
	"context"
	"errors"

	"tandem/chat"
)

// Pin implements chat.Store.
func (s *Store) Pin(ctx context.Context, g chat.Guard, topic chat.Topic, message int64, on bool, e chat.Event) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := errors.Join(t.check(g), t.notDeleted(topic, message)); err != nil {
			return err
		}
		query, args := `DELETE FROM pins WHERE topic = ? AND message_id = ?`, []any{int64(topic), message}
		if on {
			query = `INSERT INTO pins (topic, message_id, event_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
			args = append(args, t.head+1) // the event that is appended below
		}
		if n, err := affected(t, query, args...); err != nil || n == 0 {
			return err
		}
		if on {
			if err := t.within(chat.MaxPins, "%d messages can be pinned here; unpin one first",
				`SELECT count(*) FROM pins WHERE topic = ?`, int64(topic)); err != nil {
				return err
			}
		}
		if _, err := t.append(e); err != nil || on {
			return err
		}
		return t.expireUnpinned(topic, message)
	})
}

// Pins implements chat.Store.
func (s *Store) Pins(ctx context.Context, topic chat.Topic) ([]chat.Event, error) {
	return s.events(ctx, selectEvents+` JOIN (SELECT message_id, event_id FROM pins WHERE topic = ?) p ON p.message_id = id
		ORDER BY p.event_id DESC`, int64(topic))
}

// PinnedConversation is a conversation with pinned messages.
type PinnedConversation struct {
	Topic chat.Topic
	Users []string // the two names, or one for a conversation with oneself
}

// PinnedConversations lists them in an internal order, starting after after; 0 is the start.
func (s *Store) PinnedConversations(ctx context.Context, after int64, limit int) ([]PinnedConversation, error) {
	// Conversations are below 0 and listed downwards.
	topics, err := list(ctx, s, scanOne[chat.Topic], `SELECT DISTINCT topic FROM pins WHERE topic < ? ORDER BY topic DESC LIMIT ?`, after, limit)
	if err != nil {
		return nil, err
	}
	all := make([]PinnedConversation, 0, len(topics))
	for _, topic := range topics {
		a, b := topic.Between()
		users, err := list(ctx, s, scanOne[string], `SELECT name FROM users WHERE id = ? OR id = ? ORDER BY name`, a, b)
		if err != nil {
			return nil, err
		}
		all = append(all, PinnedConversation{topic, users})
	}
	return all, nil
}
