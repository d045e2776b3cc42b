package store

import (
	"context"

	"tandem/chat"
)

// watching is the end of a query for users who see how far user has read in a topic, and show user the same: u is each
// of them; the reader's own receipts count too. It is empty for rooms with more members than chat.MaxReceiptMembers,
// and excludes blocked users.
func watching(user int64, topic chat.Topic) (end string, args []any) {
	end = ` u.receipts AND NOT u.disabled AND EXISTS (SELECT 1 FROM users me WHERE me.id = ? AND me.receipts)`
	if topic.IsRoom() {
		room := topic.Number()
		return ` FROM members m JOIN users u ON u.id = m.user_id WHERE m.room_id = ? AND u.id <> ? AND
			(SELECT count(*) FROM (SELECT 1 FROM members WHERE room_id = ? LIMIT ?) few) <= ? AND` + end,
			[]any{room, user, room, chat.MaxReceiptMembers + 1, chat.MaxReceiptMembers, user}
	}
	other, b := topic.Between()
	if other == user {
		other = b
	}
	return ` FROM users u WHERE u.id = ? AND NOT EXISTS (SELECT 1 FROM blocks b
			WHERE b.user_id = ? AND b.blocked_id = ? OR b.user_id = ? AND b.blocked_id = ?) AND` + end,
		[]any{other, user, other, other, user, user}
}

// Watchers implements chat.Store.
func (s *Store) Watchers(ctx context.Context, user int64, topic chat.Topic) ([]chat.Topic, error) {
	end, args := watching(user, topic)
	return list(ctx, s, scanOne[chat.Topic], `SELECT u.id * 2 + 1`+end+` ORDER BY u.id`, args...)
}

// Seen implements chat.Store.
func (s *Store) Seen(ctx context.Context, user int64, topic chat.Topic) ([]chat.Seen, error) {
	end, args := watching(user, topic)
	return list(ctx, s, func(row scanner) (n chat.Seen, err error) {
		err = row.Scan(&n.Name, &n.MessageID)
		return n, err
	}, `SELECT w.name, k.message_id FROM (SELECT u.id, u.name`+end+`) w JOIN markers k ON k.user_id = w.id AND k.topic = ? ORDER BY w.name`,
		append(args, int64(topic))...)
}
