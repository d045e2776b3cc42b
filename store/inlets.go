package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"tandem/chat"
)

const selectInlets = `SELECT i.id, i.room_id, r.name, i.name, u.name, i.created_at
	FROM inlets i JOIN rooms r ON r.id = i.room_id JOIN users u ON u.id = i.created_by`

func scanInlet(row scanner) (in chat.Inlet, err error) {
	var created int64
	err = row.Scan(&in.ID, &in.Room.ID, &in.Room.Name, &in.Name, &in.CreatedBy, &created)
	in.CreatedAt = time.UnixMilli(created)
	return in, err
}

// CreateInlet implements chat.Store.
func (s *Store) CreateInlet(ctx context.Context, g chat.Guard, in chat.Inlet, hash []byte) (chat.Inlet, error) {
	var id int64
	err := s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		err := t.queryRow(`INSERT INTO inlets (room_id, name, secret, created_by, created_at) VALUES (?, ?, ?, ?, ?) RETURNING id`,
			in.Room.ID, in.Name, hash, g.User, in.CreatedAt.UnixMilli()).Scan(&id)
		if err != nil {
			return unavailable(err)
		}
		return t.within(chat.MaxInlets, "a room can have %d inlets; delete one first",
			`SELECT count(*) FROM inlets WHERE room_id = ?`, in.Room.ID)
	})
	if err != nil {
		return chat.Inlet{}, err
	}
	in.ID = id
	return in, nil
}

// Inlets implements chat.Store.
func (s *Store) Inlets(ctx context.Context, room int64) ([]chat.Inlet, error) {
	return list(ctx, s, scanInlet, selectInlets+` WHERE i.room_id = ? ORDER BY i.id`, room)
}

// InletOf implements chat.Store.
func (s *Store) InletOf(ctx context.Context, hash []byte) (chat.Inlet, error) {
	in, err := scanInlet(s.queryRow(ctx, selectInlets+` WHERE i.secret = ?`, hash))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Inlet{}, chat.ErrNoInlet
	}
	return in, unavailable(err)
}

// DeleteInlet implements chat.Store.
func (s *Store) DeleteInlet(ctx context.Context, g chat.Guard, room, inlet int64) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		n, err := affected(t, `DELETE FROM inlets WHERE id = ? AND room_id = ?`, inlet, room)
		if err == nil && n == 0 {
			return chat.ErrNoInlet
		}
		return err
	})
}

// PostByInlet implements chat.Store.
func (s *Store) PostByInlet(ctx context.Context, inlet int64, m chat.Message, key *chat.Key, within time.Duration) (chat.Event, bool, error) {
	p := &post{message: m, key: key}
	err := s.log.do(ctx, func(t *tx) error {
		p.message, p.fresh = m, false // an earlier attempt may have been undone
		var there bool
		if err := t.queryRow(`SELECT EXISTS (SELECT 1 FROM inlets WHERE id = ?)`, inlet).Scan(&there); err != nil {
			return unavailable(err)
		}
		if !there {
			return chat.ErrNoInlet
		}
		if key != nil && within > 0 {
			if _, err := t.exec(`DELETE FROM idempotency WHERE user_id = ? AND topic = ? AND key = ? AND created_at <= ?`,
				m.Author, int64(m.Topic), key.Name, t.now.Add(-within).UnixMilli()); err != nil {
				return unavailable(err)
			}
		}
		return t.post(p)
	})
	if err != nil {
		return chat.Event{}, false, err
	}
	return p.message.Event, p.fresh, nil
}
