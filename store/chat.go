package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"tandem/chat"
)

var _ chat.Store = (*Store)(nil)

// Post implements chat.Store.
func (s *Store) Post(ctx context.Context, g chat.Guard, m chat.Message, key *chat.Key) (chat.Event, bool, error) {
	if len(m.Files) > 0 {
		return s.postFiles(ctx, &post{guard: g, message: m, key: key})
	}
	j := &job{post: &post{guard: g, message: m, key: key}, done: make(chan struct{})}
	// A job may outlive this call (see writer.do), so its result is only read after it succeeded.
	if err := s.log.submit(ctx, j); err != nil {
		return chat.Event{}, false, err
	}
	return j.post.message.Event, j.post.fresh, nil
}

// postFiles posts a message with files. It is not a post job: one that fails there after writing takes its whole batch
// with it.
func (s *Store) postFiles(ctx context.Context, p *post) (chat.Event, bool, error) {
	err := s.log.do(ctx, func(t *tx) error {
		p.fresh = false // an earlier attempt may have been undone
		if err := t.post(p); err != nil || !p.fresh {
			return err
		}
		return t.takeFiles(p.message.Files, p.message.Author, p.message.Topic, p.message.ID)
	})
	if err != nil {
		return chat.Event{}, false, err
	}
	return p.message.Event, p.fresh, nil
}

// CreateRoom implements chat.Store.
func (s *Store) CreateRoom(ctx context.Context, g chat.Guard, r chat.Room, events func(chat.Room) []chat.Event) (chat.Room, error) {
	var made chat.Room
	err := s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		made = r
		made.Version = 1
		err := t.queryRow(`INSERT INTO rooms (name, title, visibility, posting, receipts, slow_mode, created_by, created_at, name_since)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, coalesce((SELECT max(deleted) FROM former_rooms WHERE name = ?), 0))
			ON CONFLICT DO NOTHING RETURNING id, name_since`,
			r.Name, r.Title, r.Visibility, r.Posting, r.Receipts, r.SlowMode, g.User, r.CreatedAt.UnixMilli(), r.Name).Scan(&made.ID, &made.NameSince)
		if errors.Is(err, sql.ErrNoRows) {
			return chat.ErrRoomExists
		}
		if err != nil {
			return unavailable(err)
		}
		if err := setMember(t, made.ID, g.User, chat.RoleOwner); err != nil {
			return err
		}
		if err := t.withinMemberships(g.User, chat.RoleOwner); err != nil {
			return err
		}
		for _, e := range events(made) {
			if _, err := t.append(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return chat.Room{}, err
	}
	return made, nil
}

// SetMember implements chat.Store.
func (s *Store) SetMember(ctx context.Context, g chat.Guard, room, user int64, from, to chat.Role, e chat.Event) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		if err := t.exists(user); err != nil {
			return err
		}
		var have chat.Role
		err := t.queryRow(`SELECT role FROM members WHERE room_id = ? AND user_id = ?`, room, user).Scan(&have)
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return unavailable(err)
		case have == to:
			return nil // another call was faster; a second event would be about nothing
		case have != from:
			return chat.ErrStale
		}
		if err := setMember(t, room, user, to); err != nil {
			return err
		}
		if from == "" || to == chat.RoleOwner {
			if err := t.withinMemberships(user, to); err != nil {
				return err
			}
		}
		if from != "" {
			if err := touchRoom(t, room); err != nil {
				return err
			}
		}
		_, err = t.append(e)
		return err
	})
}

func setMember(t *tx, room, user int64, role chat.Role) error {
	_, err := t.exec(`INSERT INTO members (room_id, user_id, role, since) VALUES (?, ?, ?, ?)
		ON CONFLICT (room_id, user_id) DO UPDATE SET role = excluded.role`, room, user, role, t.now.UnixMilli())
	return unavailable(err)
}

// User implements chat.Store.
func (s *Store) User(ctx context.Context, id int64) (chat.User, error) {
	u := chat.User{ID: id}
	err := s.queryRow(ctx, `SELECT name, admin, disabled, version FROM users WHERE id = ?`, id).
		Scan(&u.Name, &u.Admin, &u.Disabled, &u.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.User{}, chat.ErrUserNotFound
	}
	return u, unavailable(err)
}

// UserNamed implements chat.Store.
func (s *Store) UserNamed(ctx context.Context, name string) (chat.User, error) {
	u := chat.User{Name: name}
	err := s.queryRow(ctx, `SELECT id, admin, disabled, version FROM users WHERE name = ? AND NOT deleted`, name).
		Scan(&u.ID, &u.Admin, &u.Disabled, &u.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.User{}, chat.ErrUserNotFound
	}
	return u, unavailable(err)
}

// SetBlock implements chat.Store.
func (s *Store) SetBlock(ctx context.Context, user, other int64, blocked bool) error {
	query := `DELETE FROM blocks WHERE user_id = ? AND blocked_id = ?`
	if blocked {
		query = `INSERT INTO blocks (user_id, blocked_id) VALUES (?, ?) ON CONFLICT DO NOTHING`
	}
	return s.log.do(ctx, func(t *tx) error {
		if err := t.exists(other); err != nil {
			return err
		}
		n, err := affected(t, query, user, other)
		if err != nil || n == 0 {
			return err
		}
		if blocked {
			if err := t.within(t.w.bounds.Blocks, "a user can block %d users", `SELECT count(*) FROM blocks WHERE user_id = ?`, user); err != nil {
				return err
			}
		}
		// A message that other has decided to send to user is decided again.
		_, err = t.exec(`UPDATE users SET version = version + 1 WHERE id = ?`, user)
		return unavailable(err)
	})
}

// Blocks implements chat.Store.
func (s *Store) Blocks(ctx context.Context, user int64, after string, limit int) ([]string, error) {
	return list(ctx, s, scanOne[string], `SELECT u.name FROM blocks b JOIN users u ON u.id = b.blocked_id
		WHERE b.user_id = ? AND u.name > ? ORDER BY u.name LIMIT ?`, user, after, limit)
}

// selectRooms takes the viewer's number as its first argument.
const selectRooms = `
	SELECT r.id, r.name, r.title, r.visibility, r.posting, r.receipts, r.slow_mode, r.retention, r.created_at, r.name_since, r.version, c.name,
		coalesce(m.role, ''), b.user_id IS NOT NULL, v.admin IS TRUE, coalesce(q.until, 0), w.url, w.secret, w.on_failure,
		coalesce((SELECT e.id FROM events e WHERE e.topic BETWEEN r.id * 2 AND r.id * 2 AND ` + isMain + `
			ORDER BY e.topic DESC, e.id DESC LIMIT 1), 0), ` + notifyInRoom + `
	FROM rooms r
	JOIN users c ON c.id = r.created_by
	LEFT JOIN users v ON v.id = ?
	LEFT JOIN members m ON m.room_id = r.id AND m.user_id = v.id
	LEFT JOIN bans b ON b.room_id = r.id AND b.user_id = v.id
	LEFT JOIN mutes q ON q.room_id = r.id AND q.user_id = v.id
	LEFT JOIN before_posts w ON w.room_id = r.id`

func scanRoom(row scanner) (r chat.RoomView, err error) {
	var created, muted int64
	var url, secret, onFailure *string
	err = row.Scan(&r.ID, &r.Name, &r.Title, &r.Visibility, &r.Posting, &r.Receipts, &r.SlowMode, &r.Retention, &created, &r.NameSince, &r.Version, &r.CreatedBy,
		&r.Role, &r.Banned, &r.Admin, &muted, &url, &secret, &onFailure, &r.LastID, &r.Level)
	r.CreatedAt = time.UnixMilli(created)
	if muted != 0 {
		r.MutedUntil = time.UnixMilli(muted)
	}
	if url != nil && secret != nil && onFailure != nil {
		r.BeforePost = &chat.BeforePost{Room: r.ID, URL: *url, Secret: *secret, Closed: *onFailure == failsClosed}
	}
	return r, err
}

// Room implements chat.Store.
func (s *Store) Room(ctx context.Context, name string, viewer int64) (chat.RoomView, error) {
	r, err := scanRoom(s.queryRow(ctx, selectRooms+` WHERE r.name = ?`, viewer, name))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.RoomView{}, chat.ErrRoomNotFound
	}
	return r, unavailable(err)
}

// OpenRoom implements chat.Store.
func (s *Store) OpenRoom(ctx context.Context, name string) (chat.Room, error) {
	r := chat.Room{Name: name}
	var created int64
	err := s.queryRow(ctx, `SELECT id, title, visibility, posting, created_at, name_since, version FROM rooms r
		WHERE name = ? AND visibility = ? AND NOT EXISTS (SELECT 1 FROM bans b WHERE b.room_id = r.id)`, name, chat.Public).
		Scan(&r.ID, &r.Title, &r.Visibility, &r.Posting, &created, &r.NameSince, &r.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Room{}, chat.ErrRoomNotFound
	}
	r.CreatedAt = time.UnixMilli(created)
	return r, unavailable(err)
}

// numbersOf returns a JSON list; null for nil, which means no limit.
func numbersOf(numbers []int64) (string, error) {
	list, err := json.Marshal(numbers)
	return string(list), err
}

// Rooms implements chat.Store.
func (s *Store) Rooms(ctx context.Context, v chat.Viewer, after string, limit int) ([]chat.RoomView, error) {
	only, err := numbersOf(v.Only)
	if err != nil {
		return nil, err
	}
	return list(ctx, s, scanRoom, selectRooms+` WHERE r.name > ? AND (r.visibility = 'public' OR m.user_id IS NOT NULL) AND b.user_id IS NULL
		AND (?3 = 'null' OR r.id IN (`+s.dialect.numbers(`?3`)+`)) ORDER BY r.name LIMIT ?4`, v.User, after, only, limit)
}

// RoomNames implements chat.Store.
func (s *Store) RoomNames(ctx context.Context, rooms []int64) (map[int64]string, error) {
	numbers, err := json.Marshal(rooms)
	if err != nil {
		return nil, err
	}
	found, err := list(ctx, s, func(row scanner) (r chat.Room, err error) {
		err = row.Scan(&r.ID, &r.Name)
		return r, err
	}, `SELECT id, name FROM rooms WHERE id IN (`+s.dialect.numbers(`?`)+`)`, string(numbers))
	names := make(map[int64]string, len(found))
	for _, r := range found {
		names[r.ID] = r.Name
	}
	return names, err
}
