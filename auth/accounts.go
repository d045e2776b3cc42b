package auth

import (
	"context"
	"errors"
)

// Signup creates an account under a prepared name and logs in. It returns ErrSignupClosed, ErrNameTaken, ErrLooksTaken
// or ErrBadPassword.
func (s *Service) Signup(ctx context.Context, name, password string, from Device) (Grant, error) {
	if s.closed || s.outside != nil {
		return Grant{}, ErrSignupClosed
	}
	if err := s.reserved(name); err != nil {
		return Grant{}, err
	}
	// Before the costly hash; CreateUser decides.
	if _, err := s.store.UserByName(ctx, name); err == nil {
		return Grant{}, ErrNameTaken
	} else if !errors.Is(err, ErrNoUser) {
		return Grant{}, err
	}
	login := s.newSession(from)
	u, session, err := s.addUser(ctx, name, password, &login)
	if err != nil {
		return Grant{}, err
	}
	login.ID, login.User = session, u.ID
	return s.grant(u, login)
}

// AddUser creates an account under a prepared name, even if sign-up is closed or the name is reserved. It returns
// ErrNameTaken or ErrBadPassword.
func (s *Service) AddUser(ctx context.Context, name, password string) (User, error) {
	u, _, err := s.addUser(ctx, name, password, nil)
	return u, err
}

func (s *Service) addUser(ctx context.Context, name, password string, login *Session) (User, int64, error) {
	password, err := preparePassword(password)
	if err != nil {
		return User{}, 0, err
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return User{}, 0, err
	}
	return s.store.CreateUser(ctx, name, hash, login)
}

// Login returns ErrBadCredentials for an unknown name, which may be empty, as for a wrong password, and after the same
// time.
func (s *Service) Login(ctx context.Context, name, password string, from Device) (Grant, error) {
	if s.outside != nil {
		return Grant{}, ErrLoginClosed
	}
	u, err := s.store.UserByName(ctx, name)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return Grant{}, err
	}
	known := err == nil && !u.Disabled
	stored := s.passwords.dummy
	if known {
		stored = u.Password
	}
	prepared, bad := preparePassword(password)
	ok, err := s.passwords.match(ctx, prepared, stored)
	if err != nil {
		return Grant{}, err
	}
	if !ok || !known || bad != nil {
		return Grant{}, ErrBadCredentials
	}
	return s.begin(ctx, u, s.newSession(from))
}

// User returns the account of an identity, or ErrInvalidToken if it is deleted or disabled.
func (s *Service) User(ctx context.Context, id Identity) (User, error) {
	u, err := s.store.UserByID(ctx, id.User)
	if errors.Is(err, ErrNoUser) || err == nil && u.Disabled {
		return User{}, ErrInvalidToken
	}
	return u, err
}

// ConfirmPassword checks id's current and new passwords, and returns the function that then sets the new one and ends all
// other sessions. It returns ErrWrongPassword, ErrBadPassword, or ErrLoginClosed for an outside issuer's user, who has no
// password here.
func (s *Service) ConfirmPassword(ctx context.Context, id Identity, current, password string) (u User, set func() error, err error) {
	if id.Session == 0 {
		return User{}, nil, ErrLoginClosed
	}
	if err := CheckPassword(password); err != nil {
		return User{}, nil, err
	}
	if u, err = s.confirm(ctx, id, current); err != nil {
		return User{}, nil, err
	}
	return u, func() error { return s.setPassword(ctx, u, password, id.Session) }, nil
}

// SetPassword sets a user's password and ends all of their sessions. It returns ErrBadPassword.
func (s *Service) SetPassword(ctx context.Context, u User, password string) error {
	return s.setPassword(ctx, u, password, 0)
}

func (s *Service) setPassword(ctx context.Context, u User, password string, except int64) error {
	password, err := preparePassword(password)
	if err != nil {
		return err
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	defer s.Forget(0, u.ID)
	return s.store.SetPassword(ctx, u.ID, hash, except)
}

// DeleteUser deletes id's account for good; its name is never reused. It returns ErrWrongPassword or chat.ErrLastAdmin.
// An outside issuer's user has no password to confirm with.
func (s *Service) DeleteUser(ctx context.Context, id Identity, current string) error {
	ask := s.confirm
	if id.Session == 0 {
		ask = func(ctx context.Context, id Identity, _ string) (User, error) { return s.User(ctx, id) }
	}
	u, err := ask(ctx, id, current)
	if err != nil {
		return err
	}
	err = s.store.SetDisabled(ctx, u.ID, true, true)
	s.Forget(0, u.ID)
	return err
}

// confirm returns the account if the password is right: an unattended screen must not be enough.
func (s *Service) confirm(ctx context.Context, id Identity, password string) (User, error) {
	u, err := s.User(ctx, id)
	if err != nil {
		return User{}, err
	}
	prepared, bad := preparePassword(password)
	ok, err := s.passwords.match(ctx, prepared, u.Password)
	if err != nil {
		return User{}, err
	}
	if !ok || bad != nil {
		return User{}, ErrWrongPassword
	}
	return u, nil
}
