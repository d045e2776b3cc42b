package auth

import (
	"context"
	"errors"
)

// SessionFor creates a session for the user with a prepared name, for an app's backend that has its own login and calls
// with by's API token. With create, it creates a missing account; made reports that. It returns ErrNoUser,
// ErrSessionForbidden, ErrNameTaken for a reserved name, ErrLooksTaken, or ErrLoginClosed.
func (s *Service) SessionFor(ctx context.Context, by Identity, name string, create bool) (g Grant, made bool, err error) {
	if s.outside != nil {
		return Grant{}, false, ErrLoginClosed
	}
	login := s.newSession(Device{}) // the backend's device is not the user's; refreshing sets it
	login.MadeBy = by.Session
	u, err := s.store.UserByName(ctx, name)
	if errors.Is(err, ErrNoUser) && create {
		if err := s.reserved(name); err != nil {
			return Grant{}, false, err
		}
		first := login
		u, first.ID, err = s.store.CreateUser(ctx, name, s.passwords.dummy, &first)
		if err == nil {
			g, err = s.grant(u, first)
			return g, true, err
		}
		if errors.Is(err, ErrNameTaken) && !errors.Is(err, ErrLooksTaken) { // another call was faster, perhaps from the same backend
			u, err = s.store.UserByName(ctx, name)
		}
	}
	if err != nil {
		return Grant{}, false, err
	}
	if u.Disabled || u.Admin {
		return Grant{}, false, ErrSessionForbidden
	}
	g, err = s.begin(ctx, u, login)
	if errors.Is(err, ErrBadCredentials) { // disabled since
		err = ErrSessionForbidden
	}
	return g, false, err
}

// AddMember creates an account for the operator, under a prepared name that is not reserved; with an empty password,
// nobody can log in. It returns ErrNameTaken, ErrLooksTaken, ErrBadPassword or ErrLoginClosed.
func (s *Service) AddMember(ctx context.Context, name, password string) (User, error) {
	if s.outside != nil {
		return User{}, ErrLoginClosed
	}
	if err := s.reserved(name); err != nil {
		return User{}, err
	}
	if password != "" {
		return s.AddUser(ctx, name, password)
	}
	u, _, err := s.store.CreateUser(ctx, name, s.passwords.dummy, nil)
	return u, err
}

// Logins lists id's sessions by number, starting after after.
func (s *Service) Logins(ctx context.Context, id Identity, after int64, limit int) ([]Session, error) {
	return s.store.Logins(ctx, id.User, after, s.now(), limit)
}

// EndLogin ends a session of id and its streams, or returns ErrNoSession.
func (s *Service) EndLogin(ctx context.Context, id Identity, login int64) error {
	n, err := s.store.Session(ctx, login)
	if err != nil {
		return err
	}
	if n.User != id.User || n.Token != nil {
		return ErrNoSession
	}
	return s.end(ctx, login)
}

// NoPassword is a hash of a password that nobody has, for accounts that get one later.
func (s *Service) NoPassword() string { return s.passwords.dummy }
