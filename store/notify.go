package store

import (
	"context"

	"tandem/chat"
)

// The level that a user has set, in a query of rooms or of conversations; "" for none.
const (
	notifyInRoom = `coalesce((SELECT n.level FROM notify_levels n WHERE n.user_id = v.id AND n.topic = r.id * 2), '')`
	// ConversationTopic, in SQL.
	notifyInConversation = `coalesce((SELECT n.level FROM notify_levels n WHERE n.user_id = c.user_id AND n.topic =
		-(CASE WHEN c.user_id < c.other_id THEN c.user_id * 2147483648 + c.other_id ELSE c.other_id * 2147483648 + c.user_id END)), '')`
)

// SetNotify implements chat.Store.
func (s *Store) SetNotify(ctx context.Context, user int64, topic chat.Topic, level, otherwise chat.NotifyLevel) error {
	return s.log.do(ctx, func(t *tx) error {
		if level == otherwise {
			_, err := t.exec(`DELETE FROM notify_levels WHERE user_id = ? AND topic = ?`, user, int64(topic))
			return unavailable(err)
		}
		if _, err := t.exec(`INSERT INTO notify_levels (user_id, topic, level) VALUES (?, ?, ?)
			ON CONFLICT (user_id, topic) DO UPDATE SET level = excluded.level`, user, int64(topic), level); err != nil {
			return unavailable(err)
		}
		return t.within(chat.MaxNotifyLevels, "a user can set %d levels", `SELECT count(*) FROM notify_levels WHERE user_id = ?`, user)
	})
}
