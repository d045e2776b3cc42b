package store

import (
	"context"
	"time"

	"tandem/chat"
)

// Memberships implements chat.Store. The log has the start of a membership: the first member_added after the last
// member_removed, because later ones only change the role.
func (s *Store) Memberships(ctx context.Context, user int64) ([]chat.Membership, error) {
	inbox := int64(chat.InboxTopic(user))
	return list(ctx, s, func(row scanner) (m chat.Membership, err error) {
		var created int64
		err = row.Scan(&m.ID, &m.Name, &m.Title, &m.Visibility, &m.Posting, &created, &m.NameSince, &m.Version, &m.CreatedBy, &m.Since)
		m.CreatedAt = time.UnixMilli(created)
		return m, err
	}, `
	WITH removals AS (
		SELECT topic, max(id) AS id FROM events WHERE also = ? AND type = ? GROUP BY topic
	), beginnings AS (
		SELECT e.topic, min(e.id) AS id FROM events e LEFT JOIN removals r ON r.topic = e.topic
		WHERE e.also = ? AND e.type = ? AND e.id > coalesce(r.id, 0) GROUP BY e.topic
	)
	SELECT r.id, r.name, r.title, r.visibility, r.posting, r.created_at, r.name_since, r.version, c.name, coalesce(b.id, 0)
	FROM members m
	JOIN rooms r ON r.id = m.room_id
	JOIN users c ON c.id = r.created_by
	LEFT JOIN beginnings b ON b.topic = r.id * 2
	WHERE m.user_id = ? ORDER BY r.name`,
		inbox, chat.TypeMemberRemoved, inbox, chat.TypeMemberAdded, user)
}
