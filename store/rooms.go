package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"tandem/chat"
)

// change runs f if g matches, then appends the events; f returns false if there is nothing to change.
func (s *Store) change(ctx context.Context, g chat.Guard, f func(*tx) (bool, error), events ...chat.Event) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		if changed, err := f(t); err != nil || !changed {
			return err
		}
		for _, e := range events {
			if _, err := t.append(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// touchRoom moves a room's version: a user has lost a right in it.
func touchRoom(t *tx, room int64) error {
	_, err := t.exec(`UPDATE rooms SET version = version + 1 WHERE id = ?`, room)
	return unavailable(err)
}

// RemoveMember implements chat.Store.
func (s *Store) RemoveMember(ctx context.Context, g chat.Guard, room, user int64, events []chat.Event) error {
	return s.change(ctx, g, func(t *tx) (bool, error) {
		n, err := affected(t, `DELETE FROM members WHERE room_id = ? AND user_id = ?`, room, user)
		if err != nil || n == 0 {
			return false, err
		}
		return true, touchRoom(t, room)
	}, events...)
}

// Ban implements chat.Store.
func (s *Store) Ban(ctx context.Context, g chat.Guard, room, user int64, events []chat.Event) error {
	return s.change(ctx, g, func(t *tx) (bool, error) {
		if err := t.exists(user); err != nil {
			return false, err
		}
		n, err := affected(t, `INSERT INTO bans (room_id, user_id, by_id, since) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			room, user, g.User, t.now.UnixMilli())
		if err != nil || n == 0 {
			return false, err
		}
		if err := t.within(t.w.bounds.Bans, "a room can have %d bans", `SELECT count(*) FROM bans WHERE room_id = ?`, room); err != nil {
			return false, err
		}
		if _, err := t.exec(`DELETE FROM members WHERE room_id = ? AND user_id = ?`, room, user); err != nil {
			return false, unavailable(err)
		}
		return true, touchRoom(t, room)
	}, events...)
}

// Unban implements chat.Store.
func (s *Store) Unban(ctx context.Context, g chat.Guard, room, user int64) error {
	return s.change(ctx, g, func(t *tx) (bool, error) {
		_, err := t.exec(`DELETE FROM bans WHERE room_id = ? AND user_id = ?`, room, user)
		return false, unavailable(err)
	})
}

// ChangeRoom implements chat.Store.
func (s *Store) ChangeRoom(ctx context.Context, g chat.Guard, r chat.Room, events []chat.Event) (int64, error) {
	var version int64
	err := s.change(ctx, g, func(t *tx) (bool, error) {
		err := t.queryRow(`UPDATE rooms SET title = ?, visibility = ?, posting = ?, receipts = ?, slow_mode = ?, retention = ?, version = version + 1
			WHERE id = ? RETURNING version`, r.Title, r.Visibility, r.Posting, r.Receipts, r.SlowMode, r.Retention, r.ID).Scan(&version)
		if err == nil && r.SlowMode == 0 {
			_, err = t.exec(`DELETE FROM last_posts WHERE room_id = ?`, r.ID)
		}
		return true, unavailable(err)
	}, events...)
	if err != nil {
		return 0, err
	}
	return version, nil
}

// DeleteRoom implements chat.Store.
func (s *Store) DeleteRoom(ctx context.Context, g chat.Guard, room int64, e chat.Event) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		if err := t.removeHooks(`room_id = ?`, room); err != nil {
			return err
		}
		// What had expired and was only kept because it was pinned goes now, while the room still says what had expired.
		pinned, err := listIn(t, scanOne[int64], `DELETE FROM pins WHERE topic = ? RETURNING message_id`, int64(e.Topic))
		if err != nil {
			return err
		}
		for _, message := range pinned {
			if err := t.expireUnpinned(e.Topic, message); err != nil {
				return err
			}
		}
		// Idempotency keys belong to their topic, which no other room gets, and the sweep deletes them.
		var name string
		if err := t.queryRow(`DELETE FROM rooms WHERE id = ? RETURNING name`, room).Scan(&name); err != nil {
			return unavailable(err)
		}
		for _, q := range []string{`DELETE FROM push_notices WHERE topic = ?`, `DELETE FROM notify_levels WHERE topic = ?`,
			`DELETE FROM reports WHERE topic = ?`} {
			if _, err := t.exec(q, int64(e.Topic)); err != nil {
				return unavailable(err)
			}
		}
		if _, err := t.removeFiles(`topic = ?`, int64(chat.RoomTopic(room))); err != nil {
			return err
		}
		deleted, err := t.append(e)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO former_rooms (name, made, deleted)
			VALUES (?, (SELECT min(id) FROM (
				SELECT min(id) AS id FROM events WHERE topic = ? AND `+isMain+`
				UNION ALL SELECT min(id) FROM events WHERE topic = ? AND `+isRest+`) e), ?)`,
			name, int64(e.Topic), int64(e.Topic), deleted.ID)
		return unavailable(err)
	})
}

// WasAnother implements realtime.Log.
func (s *Store) WasAnother(ctx context.Context, name string, at int64) (was bool, err error) {
	err = s.queryRow(ctx, `SELECT EXISTS (SELECT 1 FROM former_rooms WHERE name = ? AND made <= ? AND deleted > ?)`, name, at, at).Scan(&was)
	return was, unavailable(err)
}

// Members implements chat.Store.
func (s *Store) Members(ctx context.Context, room int64, after string, limit int) ([]chat.Member, error) {
	return list(ctx, s, func(row scanner) (m chat.Member, err error) {
		var since int64
		err = row.Scan(&m.Name, &m.Role, &since)
		m.Since = time.UnixMilli(since)
		return m, err
	}, `SELECT u.name, m.role, m.since FROM members m JOIN users u ON u.id = m.user_id
		WHERE m.room_id = ? AND u.name > ? ORDER BY u.name LIMIT ?`, room, after, limit)
}

// Bans implements chat.Store.
func (s *Store) Bans(ctx context.Context, room int64, after string, limit int) ([]chat.Ban, error) {
	return list(ctx, s, func(row scanner) (b chat.Ban, err error) {
		var since int64
		err = row.Scan(&b.Name, &b.By, &since)
		b.Since = time.UnixMilli(since)
		return b, err
	}, `SELECT u.name, a.name, b.since FROM bans b JOIN users u ON u.id = b.user_id JOIN users a ON a.id = b.by_id
		WHERE b.room_id = ? AND u.name > ? ORDER BY u.name LIMIT ?`, room, after, limit)
}

// Member implements chat.Store.
func (s *Store) Member(ctx context.Context, room, user int64) (chat.Member, error) {
	var m chat.Member
	var since int64
	err := s.queryRow(ctx, `SELECT coalesce(m.role, ''), coalesce(m.since, 0), b.user_id IS NOT NULL FROM rooms r
		LEFT JOIN members m ON m.room_id = r.id AND m.user_id = ?
		LEFT JOIN bans b ON b.room_id = r.id AND b.user_id = ? WHERE r.id = ?`, user, user, room).
		Scan(&m.Role, &since, &m.Banned)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Member{}, chat.ErrStale // deleted meanwhile
	}
	m.Since = time.UnixMilli(since)
	return m, unavailable(err)
}

// Owners implements chat.Store.
func (s *Store) Owners(ctx context.Context, room int64) (n int, err error) {
	err = s.queryRow(ctx, `SELECT count(*) FROM members WHERE room_id = ? AND role = ?`, room, chat.RoleOwner).Scan(&n)
	return n, unavailable(err)
}

// affected runs a statement and returns how many rows it changed.
func affected(t *tx, query string, args ...any) (int64, error) {
	res, err := t.exec(query, args...)
	if err != nil {
		return 0, unavailable(err)
	}
	return res.RowsAffected()
}
