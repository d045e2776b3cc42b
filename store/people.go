package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"tandem/chat"
)

const accountColumns = `id, name, admin, disabled, version, deleted, created_at`

func scanAccount(row scanner) (a chat.Account, err error) {
	var created int64
	err = row.Scan(&a.ID, &a.Name, &a.Admin, &a.Disabled, &a.Version, &a.Deleted, &created)
	a.CreatedAt = time.UnixMilli(created)
	return a, err
}

// likeEscaper escapes the special characters of LIKE.
var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Users implements chat.Store.
func (s *Store) Users(ctx context.Context, p chat.People) ([]chat.Account, error) {
	where, args, err := s.wherePeople(p)
	if err != nil {
		return nil, err
	}
	return list(ctx, s, scanAccount, `SELECT `+accountColumns+` FROM users WHERE `+where+` ORDER BY name LIMIT ?`, append(args, p.Limit)...)
}

// People implements chat.Store.
func (s *Store) People(ctx context.Context, p chat.People) ([]chat.Person, error) {
	where, args, err := s.wherePeople(p)
	if err != nil {
		return nil, err
	}
	if !p.Disabled {
		where = `NOT disabled AND ` + where
	}
	return list(ctx, s, func(row scanner) (p chat.Person, err error) {
		var data sql.NullString
		var seen sql.NullInt64
		err = row.Scan(&p.ID, &p.Name, &p.DisplayName, &p.Avatar, &data, &seen, &p.Disabled)
		if data.Valid {
			p.Data = json.RawMessage(data.String)
		}
		if seen.Valid {
			p.LastSeen = time.UnixMilli(seen.Int64)
		}
		return p, err
	}, `SELECT id, name, coalesce(display_name, ''), coalesce(avatar, ''), data, last_seen, disabled FROM users WHERE `+where+` ORDER BY name LIMIT ?`,
		append(args, p.Limit)...)
}

// wherePeople returns the condition for the requested users.
func (s *Store) wherePeople(p chat.People) (where string, args []any, err error) {
	where, args = `name > ? AND name LIKE ? ESCAPE '\'`, []any{p.After, "%" + likeEscaper.Replace(p.Part) + "%"}
	for _, c := range []struct {
		condition string
		users     []int64
	}{{`id IN`, p.Among}, {`id NOT IN`, p.Except}} {
		if c.users == nil {
			continue
		}
		numbers, err := json.Marshal(c.users)
		if err != nil {
			return "", nil, err
		}
		where += ` AND ` + c.condition + ` (` + s.dialect.numbers(`?`) + `)`
		args = append(args, string(numbers))
	}
	if len(p.Names) > 0 {
		names, err := json.Marshal(p.Names)
		if err != nil {
			return "", nil, err
		}
		where += ` AND name IN (` + s.dialect.texts(`?`) + `)`
		args = append(args, string(names))
	}
	return where, args, nil
}

// ChangeAccount implements chat.Store.
func (s *Store) ChangeAccount(ctx context.Context, g chat.Guard, user int64, c chat.AccountChange) (chat.Account, error) {
	var is chat.Account
	err := s.change(ctx, g, func(t *tx) (bool, error) {
		was, err := scanAccount(t.queryRow(`SELECT `+accountColumns+` FROM users WHERE id = ?`, user))
		if err != nil {
			return false, unavailable(err)
		}
		if was.Deleted {
			return false, chat.ErrUserNotFound
		}
		is = was
		if c.Admin != nil {
			is.Admin = *c.Admin
		}
		if c.Disabled != nil {
			is.Disabled = *c.Disabled
		}
		if is == was {
			return false, nil
		}
		if is.Admin != was.Admin {
			if err := setAdmin(t, user, is.Admin); err != nil {
				return false, err
			}
		}
		if is.Disabled != was.Disabled {
			if err := setDisabled(t, user, is.Disabled, false); err != nil {
				return false, err
			}
		}
		if was.Admin && !was.Disabled && (!is.Admin || is.Disabled) {
			return true, keepsAdmin(t)
		}
		return true, nil
	})
	if err != nil {
		return chat.Account{}, err
	}
	return is, nil
}

// keepsAdmin returns ErrLastAdmin if no enabled admin is left.
func keepsAdmin(t *tx) error {
	var left bool
	err := t.queryRow(`SELECT EXISTS (SELECT 1 FROM users WHERE admin AND NOT disabled)`).Scan(&left)
	if err == nil && !left {
		return chat.ErrLastAdmin
	}
	return unavailable(err)
}

// Counts implements chat.Store.
func (s *Store) Counts(ctx context.Context) (users, rooms int64, err error) {
	err = s.queryRow(ctx, `SELECT (SELECT count(*) FROM users WHERE NOT disabled), (SELECT count(*) FROM rooms)`).
		Scan(&users, &rooms)
	return users, rooms, unavailable(err)
}
