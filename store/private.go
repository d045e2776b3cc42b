package store

import (
	"context"
	"database/sql"
	"errors"

	"tandem/chat"
)

// Send implements chat.Store.
func (s *Store) Send(ctx context.Context, g chat.Guard, user, other int64, m chat.Message, delivered func(int64) chat.Event, key *chat.Key) (chat.Event, bool, error) {
	var sent chat.Event
	var fresh bool
	err := s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		if key != nil {
			earlier, used, err := t.claim(user, m.Also, key)
			if used || err != nil {
				sent = earlier
				return err
			}
		}
		var err error
		if sent, err = t.append(m.Event); err != nil {
			return err
		}
		fresh = true
		if err := t.takeFiles(m.Files, user, m.Also, sent.ID); err != nil {
			return err
		}
		if delivered != nil {
			if _, err := t.append(delivered(sent.ID)); err != nil {
				return err
			}
		}
		if err := t.converse(user, other, sent.ID); err != nil {
			return err
		}
		m.Event = sent
		return t.beside(m)
	})
	if err != nil {
		return chat.Event{}, false, err
	}
	return sent, fresh, nil
}

// converse makes a message the latest between two.
func (t *tx) converse(user, other, message int64) error {
	for _, side := range [][2]int64{{user, other}, {other, user}} {
		if _, err := t.exec(`INSERT INTO conversations (user_id, other_id, last_id) VALUES (?, ?, ?)
			ON CONFLICT (user_id, other_id) DO UPDATE SET last_id = excluded.last_id`, side[0], side[1], message); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// Correspondent implements chat.Store.
func (s *Store) Correspondent(ctx context.Context, user int64, name string) (chat.Correspondent, error) {
	c := chat.Correspondent{User: chat.User{Name: name}}
	err := s.queryRow(ctx, `SELECT id, admin, disabled, deleted, version,
			EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = u.id AND b.blocked_id = ?)
		FROM users u WHERE name = ?
			AND (NOT deleted OR EXISTS (SELECT 1 FROM conversations c WHERE c.user_id = ? AND c.other_id = u.id))`, user, name, user).
		Scan(&c.ID, &c.Admin, &c.Disabled, &c.Deleted, &c.Version, &c.Blocks)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Correspondent{}, chat.ErrUserNotFound
	}
	return c, unavailable(err)
}

// Conversations implements chat.Store.
func (s *Store) Conversations(ctx context.Context, user, before int64, limit int) ([]chat.Conversation, error) {
	return list(ctx, s, func(row scanner) (c chat.Conversation, err error) {
		err = row.Scan(&c.With.ID, &c.With.Name, &c.LastID, &c.Level)
		return c, err
	}, `SELECT u.id, u.name, c.last_id, `+notifyInConversation+` FROM conversations c JOIN users u ON u.id = c.other_id
		WHERE c.user_id = ? AND c.last_id < ? ORDER BY c.last_id DESC LIMIT ?`, user, before, limit)
}
