package store

import (
	"context"
	"encoding/json"
	"slices"

	"tandem/chat"
)

// mention stores whom a message of a room mentions.
func (t *tx) mention(topic chat.Topic, message int64, users []int64) error {
	for _, user := range users {
		if _, err := t.exec(`INSERT INTO mentions (message_id, user_id, topic) VALUES (?, ?, ?)`, message, user, int64(topic)); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// CountMembers implements chat.Store.
func (s *Store) CountMembers(ctx context.Context, room int64, most int) (n int, err error) {
	err = s.queryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM members WHERE room_id = ? LIMIT ?) m`, room, most).Scan(&n)
	return n, unavailable(err)
}

// Readers implements chat.Store.
func (s *Store) Readers(ctx context.Context, r chat.Room, names []string) (map[string]int64, error) {
	wanted, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	found, err := list(ctx, s, func(row scanner) (u chat.User, err error) {
		err = row.Scan(&u.ID, &u.Name)
		return u, err
	}, `SELECT u.id, u.name FROM users u WHERE u.name IN (`+s.dialect.texts(`?1`)+`) AND NOT u.disabled AND NOT u.deleted
		AND NOT EXISTS (SELECT 1 FROM bans b WHERE b.room_id = ?2 AND b.user_id = u.id)
		AND (?3 = 'public' OR EXISTS (SELECT 1 FROM members m WHERE m.room_id = ?2 AND m.user_id = u.id))`,
		string(wanted), r.ID, string(r.Visibility))
	users := make(map[string]int64, len(found))
	for _, u := range found {
		users[u.Name] = u.ID
	}
	return users, err
}

// mentioning selects the messages of others with ids before ?2 that mention the user ?1 in rooms that they may read.
const mentioning = ` FROM events e JOIN (
		SELECT message_id FROM mentions WHERE user_id = ?1 AND message_id < ?2
		UNION
		SELECT m.message_id FROM members r JOIN mentions m ON m.topic = r.room_id * 2 AND m.user_id = 0
		WHERE r.user_id = ?1 AND m.message_id < ?2) m ON m.message_id = e.id
	JOIN rooms r ON r.id * 2 = e.topic
	WHERE e.author <> ?1 AND NOT EXISTS (SELECT 1 FROM bans b WHERE b.room_id = r.id AND b.user_id = ?1)
	AND (r.visibility = 'public' OR EXISTS (SELECT 1 FROM members o WHERE o.room_id = r.id AND o.user_id = ?1))`

// Mentions implements chat.Store.
func (s *Store) Mentions(ctx context.Context, user int64, p chat.Page) (chat.MessagePage, error) {
	before := p.Before
	if before == 0 {
		before = chat.MaxID + 1
	}
	events, err := s.events(ctx, eventColumnsOf+mentioning+` ORDER BY e.id DESC LIMIT ?3`, user, before, p.Limit+1)
	if err != nil {
		return chat.MessagePage{}, err
	}
	page := chat.MessagePage{Events: events[:min(len(events), p.Limit)]}
	if len(events) > p.Limit {
		first := page.Events[p.Limit-1].ID
		page.Prev = &first
	}
	slices.Reverse(page.Events)
	return page, nil
}

// UnreadMentions implements chat.Store.
func (s *Store) UnreadMentions(ctx context.Context, user, room int64) (n int, err error) {
	if user == 0 {
		return 0, nil
	}
	err = s.queryRow(ctx, `SELECT count(*) FROM (SELECT DISTINCT m.message_id FROM mentions m JOIN events e ON e.id = m.message_id
		WHERE m.topic = ?1 AND m.message_id > `+markerOf+` AND e.author <> ?2 AND (m.user_id = ?2
			OR m.user_id = 0 AND EXISTS (SELECT 1 FROM members r WHERE r.room_id = ?3 AND r.user_id = ?2)) LIMIT ?4) unread`,
		int64(chat.RoomTopic(room)), user, room, chat.MaxUnread).Scan(&n)
	return n, unavailable(err)
}
