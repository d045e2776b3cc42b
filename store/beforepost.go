package store

import (
	"context"

	"tandem/chat"
)

const failsClosed, failsOpen = "closed", "open"

// SetBeforePost implements chat.Store.
func (s *Store) SetBeforePost(ctx context.Context, g chat.Guard, room int64, h *chat.BeforePost) error {
	return s.change(ctx, g, func(t *tx) (bool, error) {
		if _, err := t.exec(`DELETE FROM before_posts WHERE room_id = ?`, room); err != nil {
			return false, unavailable(err)
		}
		if h != nil {
			onFailure := failsOpen
			if h.Closed {
				onFailure = failsClosed
			}
			if _, err := t.exec(`INSERT INTO before_posts (room_id, url, secret, on_failure) VALUES (?, ?, ?, ?)`,
				room, h.URL, h.Secret, onFailure); err != nil {
				return false, unavailable(err)
			}
		}
		// Posts that were decided without it are decided again.
		return true, touchRoom(t, room)
	})
}

// KeyUsed implements chat.Store.
func (s *Store) KeyUsed(ctx context.Context, user int64, topic chat.Topic, key string) (used bool, err error) {
	err = s.queryRow(ctx, `SELECT EXISTS (SELECT 1 FROM idempotency WHERE user_id = ? AND topic = ? AND key = ?)`,
		user, int64(topic), key).Scan(&used)
	return used, unavailable(err)
}
