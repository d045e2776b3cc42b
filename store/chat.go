package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"tandem/chat"
)

var _ chat.Store = (*SQLite)(nil)

// Post implements chat.Store.
func (s *SQLite) Post(ctx context.Context, g chat.Guard, e chat.Event, key *chat.Key) (chat.Event, bool, error) {
	// The closure may outlive this call (see writer.do), so its results are read only after it succeeded.
	var posted chat.Event
	var fresh bool
	err := s.log.doLone(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		if key != nil {
			earlier, found, err := t.retried(e.Author, e.Topic, key)
			if found || err != nil {
				posted = earlier
				return err
			}
		}
		var err error
		if posted, err = t.append(e); err != nil {
			return err
		}
		fresh = true
		if key != nil {
			return t.keep(e.Author, e.Topic, key, posted.ID)
		}
		return nil
	})
	if err != nil {
		return chat.Event{}, false, err
	}
	return posted, fresh, nil
}

// CreateRoom implements chat.Store.
func (s *SQLite) CreateRoom(ctx context.Context, g chat.Guard, r chat.Room, events func(chat.Room) []chat.Event) (chat.Room, error) {
	var made chat.Room
	err := s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		res, err := t.exec(`INSERT INTO rooms (name, title, visibility, posting, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
			r.Name, r.Title, r.Visibility, r.Posting, g.User, r.CreatedAt.UnixMilli())
		if isUnique(err) {
			return chat.ErrRoomExists
		}
		if err != nil {
			return unavailable(err)
		}
		made = r
		made.Version = 1
		if made.ID, err = res.LastInsertId(); err != nil {
			return err
		}
		if err := setMember(t, made.ID, g.User, chat.RoleOwner); err != nil {
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
func (s *SQLite) SetMember(ctx context.Context, g chat.Guard, room, user int64, role chat.Role, e chat.Event) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		var have chat.Role
		err := t.queryRow(`SELECT role FROM members WHERE room_id = ? AND user_id = ?`, room, user).Scan(&have)
		if err == nil && have == role {
			return nil // somebody was faster; saying it twice would be an event about nothing
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return unavailable(err)
		}
		if err := setMember(t, room, user, role); err != nil {
			return err
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
func (s *SQLite) User(ctx context.Context, id int64) (chat.User, error) {
	u := chat.User{ID: id}
	err := s.reads.QueryRowContext(ctx, `SELECT name, admin, disabled, version FROM users WHERE id = ?`, id).
		Scan(&u.Name, &u.Admin, &u.Disabled, &u.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return chat.User{}, chat.ErrUserNotFound
	}
	return u, unavailable(err)
}

// selectRooms takes the viewer's number as its first argument.
const selectRooms = `
	SELECT r.id, r.name, r.title, r.visibility, r.posting, r.created_at, r.version, c.name, ifnull(m.role, ''),
		ifnull((SELECT e.id FROM events e WHERE e.topic = r.id * 2 AND e.type = 'chat_message' ORDER BY e.id DESC LIMIT 1), 0)
	FROM rooms r
	JOIN users c ON c.id = r.created_by
	LEFT JOIN members m ON m.room_id = r.id AND m.user_id = ?`

func scanRoom(row scanner) (r chat.RoomView, err error) {
	var created int64
	err = row.Scan(&r.ID, &r.Name, &r.Title, &r.Visibility, &r.Posting, &created, &r.Version, &r.CreatedBy, &r.Role, &r.LastID)
	r.CreatedAt = time.UnixMilli(created)
	return r, err
}

// Room implements chat.Store.
func (s *SQLite) Room(ctx context.Context, name string, viewer int64) (chat.RoomView, error) {
	r, err := scanRoom(s.reads.QueryRowContext(ctx, selectRooms+` WHERE r.name = ?`, viewer, name))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.RoomView{}, chat.ErrRoomNotFound
	}
	return r, unavailable(err)
}

// Rooms implements chat.Store.
func (s *SQLite) Rooms(ctx context.Context, viewer int64, after string, limit int) ([]chat.RoomView, error) {
	rows, err := s.reads.QueryContext(ctx,
		selectRooms+` WHERE r.name > ? AND r.visibility = 'public' ORDER BY r.name LIMIT ?`, viewer, after, limit)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var list []chat.RoomView
	for rows.Next() {
		r, err := scanRoom(rows)
		if err != nil {
			return nil, unavailable(err)
		}
		list = append(list, r)
	}
	return list, unavailable(rows.Err())
}

// Messages implements chat.Store.
func (s *SQLite) Messages(ctx context.Context, room int64, p chat.Page) ([]chat.Event, error) {
	topic := int64(chat.RoomTopic(room))
	if p.HasAfter {
		return s.events(ctx, selectEvents+` WHERE topic = ? AND type = ? AND id > ? ORDER BY id LIMIT ?`,
			topic, chat.TypeChatMessage, p.After, p.Limit)
	}
	before := p.Before
	if before == 0 {
		before = chat.MaxID + 1
	}
	events, err := s.events(ctx, selectEvents+` WHERE topic = ? AND type = ? AND id < ? ORDER BY id DESC LIMIT ?`,
		topic, chat.TypeChatMessage, before, p.Limit)
	slices.Reverse(events)
	return events, err
}
