package chat

import (
	"context"
	"time"

	"golang.org/x/text/secure/precis"
)

// Account is a user as site admins see them.
type Account struct {
	User
	Deleted   bool // by the user; disabled as well
	CreatedAt time.Time
}

// AccountChange is a change to an account; nil fields keep their value.
type AccountChange struct {
	Admin    *bool
	Disabled *bool
}

// People selects users with Part in their name, by name, starting after After.
type People struct {
	Part   string   // of a name; empty for all
	Names  []string // prepared; only these users; nil for all
	After  string
	Among  []int64 // only these users; nil for all
	Except []int64 // none of these
	Limit  int

	Disabled bool // disabled users, too; Accounts always lists them
}

// Accounts lists accounts, including disabled and deleted ones, for site admins. It returns ErrForbidden.
func (s *Service) Accounts(ctx context.Context, v Viewer, p People) ([]Account, error) {
	if _, err := s.admin(ctx, v); err != nil {
		return nil, err
	}
	if p.Part != "" {
		var known bool
		if p.Part, known = partOfName(p.Part); !known {
			return nil, nil
		}
	}
	return s.store.Users(ctx, p)
}

// partOfName prepares a part of a name. It returns false if no name can contain it.
func partOfName(s string) (string, bool) {
	part, err := precis.UsernameCaseMapped.String(TrimJoiners(s))
	return part, err == nil
}

// ChangeAccount changes an account, for site admins. It returns ErrForbidden, ErrUserNotFound or ErrLastAdmin.
func (s *Service) ChangeAccount(ctx context.Context, v Viewer, username string, c AccountChange) (Account, error) {
	name, err := PrepareUsername(username)
	if err != nil {
		return Account{}, err
	}
	var changed Account
	err = s.decide(func(bool) error {
		u, err := s.admin(ctx, v)
		if err != nil {
			return err
		}
		target, err := s.store.UserNamed(ctx, name)
		if err != nil {
			return err
		}
		changed, err = s.store.ChangeAccount(ctx, guard(Room{}, u), target.ID, c)
		s.Forget(target.ID)
		return err
	})
	return changed, err
}

// Counts returns the number of enabled users and of rooms, for site admins.
func (s *Service) Counts(ctx context.Context, v Viewer) (users, rooms int64, err error) {
	if _, err := s.admin(ctx, v); err != nil {
		return 0, 0, err
	}
	return s.store.Counts(ctx)
}

// CheckAdmin returns ErrForbidden if v is not a site admin.
func (s *Service) CheckAdmin(ctx context.Context, v Viewer) error {
	_, err := s.admin(ctx, v)
	return err
}

// admin returns the caller's current row if they are a site admin; else ErrForbidden.
func (s *Service) admin(ctx context.Context, v Viewer) (User, error) {
	u, _, err := s.user(ctx, v.User, true)
	if err == nil && !u.Admin {
		err = ErrForbidden
	}
	return u, err
}
