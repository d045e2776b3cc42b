package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"tandem/auth"
)

var _ auth.Store = (*SQLite)(nil)

// CreateUser implements auth.Store.
func (s *SQLite) CreateUser(ctx context.Context, name, password string) (auth.User, error) {
	var made int64
	err := s.log.do(ctx, func(t *tx) error {
		var err error
		made, err = insertUser(t, name, password)
		return err
	})
	if err != nil {
		return auth.User{}, err
	}
	return auth.User{ID: made, Name: name, Password: password}, nil
}

const selectUsers = `SELECT id, name, password, admin, disabled FROM users`

// UserByName implements auth.Store.
func (s *SQLite) UserByName(ctx context.Context, name string) (auth.User, error) {
	return s.authUser(ctx, selectUsers+` WHERE name = ?`, name)
}

// UserByID implements auth.Store.
func (s *SQLite) UserByID(ctx context.Context, id int64) (auth.User, error) {
	return s.authUser(ctx, selectUsers+` WHERE id = ?`, id)
}

func (s *SQLite) authUser(ctx context.Context, query string, args ...any) (auth.User, error) {
	return scanUser(s.reads.QueryRowContext(ctx, query, args...))
}

// CreateSession implements auth.Store.
func (s *SQLite) CreateSession(ctx context.Context, n auth.Session) (int64, error) {
	var made int64
	err := s.log.do(ctx, func(t *tx) error {
		res, err := t.exec(`INSERT INTO sessions (user_id, seed, generation, rotated_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
			n.User, n.Seed, n.Generation, n.RotatedAt.UnixMilli(), n.ExpiresAt.UnixMilli())
		if err != nil {
			return unavailable(err)
		}
		made, err = res.LastInsertId()
		return err
	})
	if err != nil {
		return 0, err
	}
	return made, nil
}

// Session implements auth.Store.
func (s *SQLite) Session(ctx context.Context, id int64) (auth.Session, error) {
	n := auth.Session{ID: id}
	var rotated, expires int64
	err := s.reads.QueryRowContext(ctx, `SELECT user_id, seed, generation, rotated_at, expires_at FROM sessions WHERE id = ?`, id).
		Scan(&n.User, &n.Seed, &n.Generation, &rotated, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return auth.Session{}, auth.ErrNoSession
	}
	n.RotatedAt, n.ExpiresAt = time.UnixMilli(rotated), time.UnixMilli(expires)
	return n, unavailable(err)
}

// Rotate implements auth.Store.
func (s *SQLite) Rotate(ctx context.Context, id, from int64, at, expires time.Time) (bool, error) {
	var rotated bool
	err := s.log.do(ctx, func(t *tx) error {
		res, err := t.exec(`UPDATE sessions SET generation = generation + 1, rotated_at = ?, expires_at = ? WHERE id = ? AND generation = ?`,
			at.UnixMilli(), expires.UnixMilli(), id, from)
		if err != nil {
			return unavailable(err)
		}
		n, err := res.RowsAffected()
		rotated = n == 1
		return err
	})
	return err == nil && rotated, err
}

// EndSession implements auth.Store.
func (s *SQLite) EndSession(ctx context.Context, id int64) error {
	return s.log.do(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM sessions WHERE id = ?`, id)
		return unavailable(err)
	})
}

// CreateTicket implements auth.Store.
func (s *SQLite) CreateTicket(ctx context.Context, hash []byte, id auth.Identity, expires time.Time) error {
	return s.log.do(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO tickets (hash, user_id, session_id, until, expires_at) VALUES (?, ?, nullif(?, 0), ?, ?)`,
			hash, id.User, id.Session, id.Expires.UnixMilli(), expires.UnixMilli())
		return unavailable(err)
	})
}

// SpendTicket implements auth.Store.
func (s *SQLite) SpendTicket(ctx context.Context, hash []byte) (auth.Identity, error) {
	var id auth.Identity
	err := s.log.do(ctx, func(t *tx) error {
		var until int64
		err := t.queryRow(`DELETE FROM tickets WHERE hash = ? AND expires_at > ?
			RETURNING user_id, ifnull(session_id, 0), until, (SELECT name FROM users WHERE users.id = user_id)`, hash, t.now.UnixMilli()).
			Scan(&id.User, &id.Session, &until, &id.Name)
		if errors.Is(err, sql.ErrNoRows) {
			return auth.ErrInvalidTicket
		}
		id.Expires = time.UnixMilli(until)
		return unavailable(err)
	})
	if err != nil {
		return auth.Identity{}, err
	}
	return id, nil
}

// Setting returns the value kept under name, after keeping made under it if there was none.
func (s *SQLite) Setting(ctx context.Context, name string, made []byte) ([]byte, error) {
	var value []byte
	err := s.log.do(ctx, func(t *tx) error {
		if _, err := t.exec(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, made); err != nil {
			return unavailable(err)
		}
		return unavailable(t.queryRow(`SELECT value FROM settings WHERE name = ?`, name).Scan(&value))
	})
	if err != nil {
		return nil, err
	}
	return value, nil
}
