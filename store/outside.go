package store

import (
	"context"
	"database/sql"
	"errors"
	"iter"

	"tandem/auth"
)

const selectOutsideUser = selectUsers + ` WHERE id = (SELECT user_id FROM outside_users WHERE issuer = ? AND subject = ?)`

// OutsideUser implements auth.Store.
func (s *Store) OutsideUser(ctx context.Context, issuer, subject string) (auth.User, error) {
	return s.authUser(ctx, selectOutsideUser, issuer, subject)
}

// CreateOutsideUser implements auth.Store.
func (s *Store) CreateOutsideUser(ctx context.Context, issuer, subject, password string, names iter.Seq[string]) (auth.User, error) {
	var made auth.User
	err := s.log.do(ctx, func(t *tx) error {
		u, err := scanUser(t.queryRow(selectOutsideUser, issuer, subject))
		if err == nil {
			made = u // two nodes saw the user first at once
			return nil
		}
		if !errors.Is(err, auth.ErrNoUser) {
			return err
		}
		for name := range names {
			id, err := insertUser(t, name, password)
			if errors.Is(err, auth.ErrNameTaken) {
				continue
			}
			if err != nil {
				return err
			}
			made = auth.User{ID: id, Name: name, Password: password}
			_, err = t.exec(`INSERT INTO outside_users (issuer, subject, user_id) VALUES (?, ?, ?)`, issuer, subject, id)
			return unavailable(err)
		}
		return auth.ErrNameTaken
	})
	if err != nil {
		return auth.User{}, err
	}
	return made, nil
}

func scanUser(row scanner) (u auth.User, err error) {
	err = row.Scan(&u.ID, &u.Name, &u.Password, &u.Admin, &u.Disabled)
	if errors.Is(err, sql.ErrNoRows) {
		return auth.User{}, auth.ErrNoUser
	}
	return u, unavailable(err)
}
