package chat

import (
	"context"
	"time"

	"golang.org/x/text/secure/precis"
)

// Account is a user as the site's admins see them.
type Account struct {
	User
	Deleted   bool // by themselves; disabled as well
	CreatedAt time.Time
}

// AccountChange is what is to become of an account; nil leaves a thing as it is.
type AccountChange struct {
	Admin    *bool
	Disabled *bool
}

// People asks for those with Part in their name, by name, behind After.
type People struct {
	Part  string // of a name; empty for all
	After string
	Limit int
}

// Users lists people; who is disabled is not among them.
func (s *Service) Users(ctx context.Context, p People) ([]Account, error) {
	return s.people(ctx, p, false)
}

// Accounts lists people, the disabled and deleted too, for the site's admins; ErrForbidden.
func (s *Service) Accounts(ctx context.Context, v Viewer, p People) ([]Account, error) {
	if _, err := s.admin(ctx, v); err != nil {
		return nil, err
	}
	return s.people(ctx, p, true)
}

func (s *Service) people(ctx context.Context, p People, all bool) ([]Account, error) {
	if p.Part != "" {
		var err error
		if p.Part, err = precis.UsernameCaseMapped.String(TrimJoiners(p.Part)); err != nil {
			return nil, nil // nobody's name has it
		}
	}
	return s.store.Users(ctx, p, all)
}

// ChangeAccount changes an account for one of the site's admins. It returns ErrForbidden, ErrUserNotFound or
// ErrLastAdmin.
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

// Counts are how many users there are, of those who are not disabled, and how many rooms; for the site's admins.
func (s *Service) Counts(ctx context.Context, v Viewer) (users, rooms int64, err error) {
	if _, err := s.admin(ctx, v); err != nil {
		return 0, 0, err
	}
	return s.store.Counts(ctx)
}

// admin is the caller's row as it is now, if they are an admin of the site; else ErrForbidden.
func (s *Service) admin(ctx context.Context, v Viewer) (User, error) {
	u, _, err := s.user(ctx, v.User, true)
	if err == nil && !u.Admin {
		err = ErrForbidden
	}
	return u, err
}
