package store

import (
	"context"
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

// likeEscaper takes their meaning from what LIKE knows.
var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Users implements chat.Store.
func (s *Store) Users(ctx context.Context, p chat.People, all bool) ([]chat.Account, error) {
	return list(ctx, s, scanAccount, `SELECT `+accountColumns+` FROM users
		WHERE name > ? AND name LIKE ? ESCAPE '\' AND (? OR NOT disabled) ORDER BY name LIMIT ?`,
		p.After, "%"+likeEscaper.Replace(p.Part)+"%", all, p.Limit)
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

// keepsAdmin returns ErrLastAdmin where no admin is left who is not disabled.
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
