package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"tandem/chat"
)

// Mute implements chat.Store.
func (s *Store) Mute(ctx context.Context, g chat.Guard, room, user int64, until time.Time, e chat.Event) error {
	return s.change(ctx, g, func(t *tx) (bool, error) {
		if err := t.exists(user); err != nil {
			return false, err
		}
		now := t.now.UnixMilli()
		if _, err := t.exec(`DELETE FROM mutes WHERE room_id = ? AND until <= ?`, room, now); err != nil {
			return false, unavailable(err)
		}
		if _, err := t.exec(`INSERT INTO mutes (room_id, user_id, by_id, since, until) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (room_id, user_id) DO UPDATE SET by_id = excluded.by_id, since = excluded.since, until = excluded.until`,
			room, user, g.User, now, until.UnixMilli()); err != nil {
			return false, unavailable(err)
		}
		if err := t.within(t.w.bounds.Bans, "a room can have %d mutes", `SELECT count(*) FROM mutes WHERE room_id = ?`, room); err != nil {
			return false, err
		}
		return true, touchRoom(t, room)
	}, e)
}

// Unmute implements chat.Store. It moves no version: refusals are always decided again.
func (s *Store) Unmute(ctx context.Context, g chat.Guard, room, user int64, e chat.Event) error {
	return s.change(ctx, g, func(t *tx) (bool, error) {
		n, err := affected(t, `DELETE FROM mutes WHERE room_id = ? AND user_id = ? AND until > ?`, room, user, t.now.UnixMilli())
		return n > 0, err
	}, e)
}

// Mutes implements chat.Store.
func (s *Store) Mutes(ctx context.Context, room int64, now time.Time, after string, limit int) ([]chat.Mute, error) {
	return list(ctx, s, func(row scanner) (m chat.Mute, err error) {
		var since, until int64
		err = row.Scan(&m.Name, &m.By, &since, &until)
		m.Since, m.Until = time.UnixMilli(since), time.UnixMilli(until)
		return m, err
	}, `SELECT u.name, a.name, m.since, m.until FROM mutes m JOIN users u ON u.id = m.user_id JOIN users a ON a.id = m.by_id
		WHERE m.room_id = ? AND m.until > ? AND u.name > ? ORDER BY u.name LIMIT ?`, room, now.UnixMilli(), after, limit)
}

// checkApart returns a *chat.NotYet if the author of m posted there too recently. All nodes use the database's clock.
func (t *tx) checkApart(m *chat.Message) error {
	var at, now int64
	err := t.queryRow(`SELECT at, `+t.w.dialect.clock+` FROM last_posts WHERE room_id = ? AND user_id = ?`,
		m.Topic.Number(), m.Author).Scan(&at, &now)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		t.broken = err
		return err
	}
	// The clock may have been set back.
	wait := min(time.Duration(at-now)*time.Millisecond+m.Apart, m.Apart)
	if wait <= 0 {
		return nil
	}
	return &chat.NotYet{Err: chat.ErrSlowMode, Until: time.UnixMilli(now).Add(wait), Wait: wait}
}

// noteLast records that the author of m has posted.
func (t *tx) noteLast(m *chat.Message) error {
	_, err := t.exec(`INSERT INTO last_posts (room_id, user_id, at) VALUES (?, ?, `+t.w.dialect.clock+`)
		ON CONFLICT (room_id, user_id) DO UPDATE SET at = excluded.at`, m.Topic.Number(), m.Author)
	return unavailable(err)
}
