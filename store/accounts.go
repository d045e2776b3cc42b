package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"tandem/auth"
	"tandem/chat"
)

var _ auth.Store = (*Store)(nil)

// CreateUser implements auth.Store.
func (s *Store) CreateUser(ctx context.Context, name, password string, login *auth.Session) (auth.User, int64, error) {
	made := auth.User{Name: name, Password: password}
	var session int64
	err := s.log.do(ctx, func(t *tx) error {
		id, err := insertUser(t, name, password)
		if err != nil || login == nil {
			made.ID = id
			return err
		}
		first := *login
		made.ID, first.User = id, id
		session, err = insertSession(t, first)
		return err
	})
	if err != nil {
		return auth.User{}, 0, err
	}
	return made, session, nil
}

const selectUsers = `SELECT id, name, password, admin, disabled FROM users`

// UserByName implements auth.Store.
func (s *Store) UserByName(ctx context.Context, name string) (auth.User, error) {
	return s.authUser(ctx, selectUsers+` WHERE name = ?`, name)
}

// UserByID implements auth.Store.
func (s *Store) UserByID(ctx context.Context, id int64) (auth.User, error) {
	return s.authUser(ctx, selectUsers+` WHERE id = ?`, id)
}

func (s *Store) authUser(ctx context.Context, query string, args ...any) (auth.User, error) {
	return scanUser(s.queryRow(ctx, query, args...))
}

// SetPassword implements auth.Store.
func (s *Store) SetPassword(ctx context.Context, user int64, password string, except int64) error {
	return s.log.do(ctx, func(t *tx) error {
		if _, err := t.exec(`UPDATE users SET password = ? WHERE id = ?`, password, user); err != nil {
			return unavailable(err)
		}
		return t.endSessions(`user_id = ? AND id <> ? AND token IS NULL`, user, except)
	})
}

// SetAdmin makes a user an admin, or no longer one.
func (s *Store) SetAdmin(ctx context.Context, user int64, admin bool) error {
	return s.log.do(ctx, func(t *tx) error { return setAdmin(t, user, admin) })
}

func setAdmin(t *tx, user int64, admin bool) error {
	if _, err := t.exec(`UPDATE users SET admin = ?, version = version + 1 WHERE id = ?`, admin, user); err != nil {
		return unavailable(err)
	}
	if admin {
		if err := endSessionsMadeBy(t, user); err != nil {
			return err
		}
	}
	_, err := t.append(chat.ControlEvent{User: user}.Event(user))
	return err
}

// endSessionsMadeBy ends a user's sessions that a backend created: it cannot have sessions of an admin.
func endSessionsMadeBy(t *tx, user int64) error {
	return t.endSessions(`user_id = ? AND made_by IS NOT NULL`, user)
}

// endSessions ends the sessions that match where, one at a time, each with its control event; a user has few.
func (t *tx) endSessions(where string, args ...any) error {
	for {
		var id int64
		err := t.queryRow(`SELECT id FROM sessions WHERE `+where+` LIMIT 1`, args...).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return unavailable(err)
		}
		if err := endSession(t, id); err != nil {
			return err
		}
	}
}

// SetDisabled implements auth.Store.
func (s *Store) SetDisabled(ctx context.Context, user int64, disabled, deleted bool) error {
	return s.log.do(ctx, func(t *tx) error {
		var admin bool
		if err := t.queryRow(`SELECT admin FROM users WHERE id = ?`, user).Scan(&admin); err != nil {
			return unavailable(err)
		}
		if err := setDisabled(t, user, disabled, deleted); err != nil || !deleted || !admin {
			return err
		}
		return keepsAdmin(t)
	})
}

func setDisabled(t *tx, user int64, disabled, deleted bool) error {
	if _, err := t.exec(`UPDATE users SET disabled = ? OR deleted, deleted = ? OR deleted, version = version + 1,
		password = CASE WHEN ? THEN '' ELSE password END WHERE id = ?`, disabled, deleted, deleted, user); err != nil {
		return unavailable(err)
	}
	c := chat.ControlEvent{User: user}
	if disabled {
		c.Reason = chat.CloseDisabled
		for _, q := range []string{`DELETE FROM sessions WHERE user_id = ?`, `DELETE FROM push_subscriptions WHERE user_id = ?`} {
			if _, err := t.exec(q, user); err != nil {
				return unavailable(err)
			}
		}
	}
	if deleted {
		t.scrubbed = true // the password's hash, and the profile
		if err := clearProfile(t, user); err != nil {
			return err
		}
		if err := leaveAll(t, user); err != nil {
			return err
		}
		if err := endRefusals(t, user); err != nil {
			return err
		}
		if err := t.removeFilesOf(user); err != nil {
			return err
		}
	}
	_, err := t.append(c.Event(user))
	return err
}

// CreateSession implements auth.Store.
func (s *Store) CreateSession(ctx context.Context, n auth.Session) (int64, error) {
	var made int64
	err := s.log.do(ctx, func(t *tx) (err error) {
		made, err = insertSession(t, n)
		return err
	})
	if err != nil {
		return 0, err
	}
	return made, nil
}

func insertSession(t *tx, n auth.Session) (int64, error) {
	rooms, err := nullList(n.Rooms)
	if err != nil {
		return 0, err
	}
	scopes, err := nullList(n.Scopes)
	if err != nil {
		return 0, err
	}
	if n.MadeBy != 0 {
		var admin bool
		if err := t.queryRow(`SELECT admin FROM users WHERE id = ?`, n.User).Scan(&admin); err != nil {
			return 0, unavailable(err)
		}
		if admin {
			return 0, auth.ErrSessionForbidden // since the check
		}
	}
	seed := n.Seed
	if seed == nil {
		seed = []byte{}
	}
	var made int64
	err = t.queryRow(`INSERT INTO sessions (user_id, seed, generation, created_at, rotated_at, expires_at, token, name, rooms, scopes, agent, address, made_by)
		SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''), nullif(?, 0) FROM users WHERE id = ? AND NOT disabled RETURNING id`,
		seed, n.Generation, n.CreatedAt.UnixMilli(), n.RotatedAt.UnixMilli(), nullTime(n.ExpiresAt), n.Token, n.Name, rooms, scopes,
		n.Device.Agent, n.Device.Address, n.MadeBy, n.User).Scan(&made)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, auth.ErrBadCredentials // disabled between the check and here
	}
	if err != nil {
		return 0, unavailable(err)
	}
	if n.Token == nil {
		return made, t.endOldSessions(n.User)
	}
	return made, t.within(t.w.bounds.Tokens, "a user can have %d API tokens",
		`SELECT count(*) FROM sessions WHERE user_id = ? AND token IS NOT NULL AND `+unexpired, n.User, t.now.UnixMilli())
}

// unexpired takes the time: the sweep has not yet removed all that have expired.
const unexpired = `(expires_at IS NULL OR expires_at >= ?)`

const selectSessions = `SELECT s.id, s.user_id, u.name, s.seed, s.generation, s.created_at, s.rotated_at, s.expires_at, s.token, s.name, s.rooms, s.rotated_before,
	s.scopes, coalesce(s.agent, ''), coalesce(s.address, ''), coalesce(s.made_by, 0)
	FROM sessions s JOIN users u ON u.id = s.user_id`

func scanSession(row scanner) (n auth.Session, err error) {
	var created, rotated int64
	var expires sql.NullInt64
	var rooms, before, scopes sql.NullString
	err = row.Scan(&n.ID, &n.User, &n.Username, &n.Seed, &n.Generation, &created, &rotated, &expires, &n.Token, &n.Name, &rooms, &before,
		&scopes, &n.Device.Agent, &n.Device.Address, &n.MadeBy)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return auth.Session{}, auth.ErrNoSession
	case err != nil:
		return auth.Session{}, unavailable(err)
	}
	n.CreatedAt, n.RotatedAt = time.UnixMilli(created), time.UnixMilli(rotated)
	if expires.Valid {
		n.ExpiresAt = time.UnixMilli(expires.Int64)
	}
	if rooms.Valid {
		err = json.Unmarshal([]byte(rooms.String), &n.Rooms)
	}
	if scopes.Valid && err == nil {
		err = json.Unmarshal([]byte(scopes.String), &n.Scopes)
	}
	if before.Valid && err == nil {
		var times []int64
		err = json.Unmarshal([]byte(before.String), &times)
		for _, t := range times {
			n.RotatedBefore = append(n.RotatedBefore, time.UnixMilli(t))
		}
	}
	return n, err
}

// Session implements auth.Store.
func (s *Store) Session(ctx context.Context, id int64) (auth.Session, error) {
	return scanSession(s.queryRow(ctx, selectSessions+` WHERE s.id = ?`, id))
}

// SessionByToken implements auth.Store.
func (s *Store) SessionByToken(ctx context.Context, hash []byte) (auth.Session, error) {
	return scanSession(s.queryRow(ctx, selectSessions+` WHERE s.token = ?`, hash))
}

// Tokens implements auth.Store.
func (s *Store) Tokens(ctx context.Context, user, after int64, now time.Time, limit int) ([]auth.Session, error) {
	return list(ctx, s, scanSession, selectSessions+` WHERE s.user_id = ? AND s.id > ? AND s.token IS NOT NULL
		AND `+unexpired+` ORDER BY s.id LIMIT ?`, user, after, now.UnixMilli(), limit)
}

// Logins implements auth.Store.
func (s *Store) Logins(ctx context.Context, user, after int64, now time.Time, limit int) ([]auth.Session, error) {
	return list(ctx, s, scanSession, selectSessions+` WHERE s.user_id = ? AND s.id > ? AND s.token IS NULL
		AND `+unexpired+` ORDER BY s.id LIMIT ?`, user, after, now.UnixMilli(), limit)
}

// Rotate implements auth.Store.
func (s *Store) Rotate(ctx context.Context, n auth.Session) error {
	times := make([]int64, len(n.RotatedBefore))
	for i, t := range n.RotatedBefore {
		times[i] = t.UnixMilli()
	}
	before, err := json.Marshal(times)
	if err != nil {
		return err
	}
	return s.log.do(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE sessions SET generation = ?, rotated_at = ?, rotated_before = ?, expires_at = ?,
			agent = nullif(?, ''), address = nullif(?, '') WHERE id = ? AND generation = ?`,
			n.Generation, n.RotatedAt.UnixMilli(), string(before), n.ExpiresAt.UnixMilli(), n.Device.Agent, n.Device.Address, n.ID, n.Generation-1)
		return unavailable(err)
	})
}

// EndSession implements auth.Store.
func (s *Store) EndSession(ctx context.Context, id int64) error {
	return s.log.do(ctx, func(t *tx) error { return endSession(t, id) })
}

func endSession(t *tx, id int64) error {
	var user int64
	err := t.queryRow(`DELETE FROM sessions WHERE id = ? RETURNING user_id`, id).Scan(&user)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return unavailable(err)
	}
	_, err = t.append(chat.ControlEvent{Session: id, Reason: chat.CloseSignedOut}.Event(user))
	return err
}

// CreateTicket implements auth.Store.
func (s *Store) CreateTicket(ctx context.Context, hash []byte, id auth.Identity, expires time.Time) error {
	return s.log.do(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO tickets (hash, user_id, session_id, until, expires_at) VALUES (?, ?, nullif(?, 0), ?, ?)`,
			hash, id.User, id.Session, nullTime(id.Expires), expires.UnixMilli())
		if isForeignKey(err) {
			return auth.ErrInvalidToken // ended between the check and here
		}
		if err != nil {
			return unavailable(err)
		}
		return t.within(t.w.bounds.Tickets, "a user can have %d unused tickets; use one, or wait until one expires",
			`SELECT count(*) FROM tickets WHERE user_id = ? AND expires_at > ?`, id.User, t.now.UnixMilli())
	})
}

// SpendTicket implements auth.Store.
func (s *Store) SpendTicket(ctx context.Context, hash []byte) (auth.Identity, time.Time, error) {
	var id auth.Identity
	var expires int64
	var until sql.NullInt64
	err := s.log.do(ctx, func(t *tx) error {
		err := t.queryRow(`DELETE FROM tickets WHERE hash = ? AND expires_at > ?
			RETURNING user_id, coalesce(session_id, 0), until, expires_at, (SELECT name FROM users WHERE users.id = user_id)`, hash, t.now.UnixMilli()).
			Scan(&id.User, &id.Session, &until, &expires, &id.Name)
		if errors.Is(err, sql.ErrNoRows) {
			return auth.ErrInvalidTicket
		}
		return unavailable(err)
	})
	if err != nil {
		return auth.Identity{}, time.Time{}, err
	}
	if until.Valid {
		id.Expires = time.UnixMilli(until.Int64)
	}
	return id, time.UnixMilli(expires), nil
}

// nullList returns a list as it is stored; null for nil.
func nullList[T any](list []T) (any, error) {
	if list == nil {
		return nil, nil
	}
	b, err := json.Marshal(list)
	return string(b), err
}

// nullTime returns t as it is stored; null for the zero time.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// Setting returns the value stored under name, after storing made if there was none.
func (s *Store) Setting(ctx context.Context, name string, made []byte) ([]byte, error) {
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
