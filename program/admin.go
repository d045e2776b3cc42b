package program

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"tandem/auth"
	"tandem/chat"
	"tandem/store"
)

// Admin does from the command line what needs no session. A server that runs on the same data sees it within a second.
type Admin struct {
	store    *store.Store
	accounts *auth.Service
	rooms    *chat.Service
}

// OpenAdmin opens the data of a server with these settings, which may be running.
func OpenAdmin(ctx context.Context, cfg Settings) (_ *Admin, err error) {
	if cfg, err = cfg.complete(); err != nil {
		return nil, err
	}
	a := &Admin{}
	if a.store, err = store.Open(ctx, store.Config{URL: cfg.DatabaseURL, Dir: cfg.DataDir, Now: time.Now}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.store.Close())
		}
	}()
	a.rooms = chat.NewService(a.store, time.Now)
	// Nothing is signed here, so the server's keys need not be at hand.
	secret := make([]byte, auth.MinSecret)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	a.accounts, err = auth.New(a.store, auth.Config{Secret: secret, Issuer: "none", Audience: "none", Now: time.Now})
	return a, err
}

// firstAdmin makes the account of the admin setting, unless somebody has the name: later starts change nothing, and
// neither does a forgotten setting give a password back.
func firstAdmin(ctx context.Context, s *store.Store, accounts *auth.Service, setting string) error {
	if setting == "" {
		return nil
	}
	name, password, err := splitAdmin(setting)
	if err != nil {
		return err
	}
	if _, err := s.UserByName(ctx, name); !errors.Is(err, auth.ErrNoUser) {
		return err
	}
	u, err := accounts.AddUser(ctx, name, password)
	if err != nil {
		return err
	}
	return s.SetAdmin(ctx, u.ID, true)
}

// Close closes the data.
func (a *Admin) Close() error { return a.store.Close() }

// AddUser makes an account, also where signing up is closed.
func (a *Admin) AddUser(ctx context.Context, username, password string, admin bool) error {
	name, err := chat.PrepareUsername(username)
	if err != nil {
		return err
	}
	u, err := a.accounts.AddUser(ctx, name, password)
	if err != nil {
		return err
	}
	if admin {
		return a.store.SetAdmin(ctx, u.ID, true)
	}
	return nil
}

// SetAdmin gives a user the role admin, or takes it.
func (a *Admin) SetAdmin(ctx context.Context, username string, admin bool) error {
	u, err := a.user(ctx, username)
	if err != nil {
		return err
	}
	return a.store.SetAdmin(ctx, u.ID, admin)
}

// SetDisabled ends a user's sessions, tokens and streams and lets them in no more, or lets them in again.
func (a *Admin) SetDisabled(ctx context.Context, username string, disabled bool) error {
	u, err := a.user(ctx, username)
	if err != nil {
		return err
	}
	return a.store.SetDisabled(ctx, u.ID, disabled, false)
}

// SetPassword gives a user another password and ends all of their logins.
func (a *Admin) SetPassword(ctx context.Context, username, password string) error {
	u, err := a.user(ctx, username)
	if err != nil {
		return err
	}
	return a.accounts.SetPassword(ctx, u, password)
}

// CreateToken makes an API token of a user's; a life of zero is for ever, no rooms are no limit.
func (a *Admin) CreateToken(ctx context.Context, username, name string, life time.Duration, rooms []string) (string, error) {
	if err := chat.CheckTokenName(name); err != nil {
		return "", err
	}
	u, err := a.user(ctx, username)
	if err != nil {
		return "", err
	}
	var numbers []int64
	if len(rooms) > 0 {
		found, missing, err := a.rooms.Follow(ctx, chat.Viewer{User: u.ID, Name: u.Name}, rooms, nil)
		if err != nil {
			return "", err
		}
		if len(missing) > 0 {
			return "", chat.RoomNotFound(missing[0])
		}
		for _, r := range found {
			numbers = append(numbers, r.ID)
		}
	}
	_, token, err := a.accounts.CreateToken(ctx, auth.Identity{User: u.ID}, name, life, numbers)
	if errors.Is(err, auth.ErrBadCredentials) {
		return "", fmt.Errorf("%s is disabled", u.Name)
	}
	return token, err
}

func (a *Admin) user(ctx context.Context, username string) (auth.User, error) {
	name, err := chat.PrepareUsername(username)
	if err != nil {
		return auth.User{}, err
	}
	u, err := a.store.UserByName(ctx, name)
	if errors.Is(err, auth.ErrNoUser) {
		return auth.User{}, fmt.Errorf("there is no user %s", name)
	}
	return u, err
}
