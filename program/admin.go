package program

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tandem/auth"
	"tandem/chat"
	"tandem/store"
)

// Admin implements the command line's operations that need no session. A server on the same data sees them within a
// second.
type Admin struct {
	settings Settings
	store    *store.Store
	accounts *auth.Service
	rooms    *chat.Service
}

// OpenAdmin opens the data of a server with these settings, which may be running. Data that does not exist is an error.
func OpenAdmin(ctx context.Context, cfg Settings) (*Admin, error) { return openAdmin(ctx, cfg, true) }

// OpenOrCreateAdmin is OpenAdmin for what may come before a server's first start: it creates data that does not exist.
func OpenOrCreateAdmin(ctx context.Context, cfg Settings) (*Admin, error) {
	return openAdmin(ctx, cfg, false)
}

func openAdmin(ctx context.Context, cfg Settings, existing bool) (_ *Admin, err error) {
	if cfg, err = cfg.complete(); err != nil {
		return nil, err
	}
	a := &Admin{settings: cfg}
	if a.store, err = store.Open(ctx, store.Config{URL: cfg.DatabaseURL, Dir: cfg.DataDir, Existing: existing, Now: time.Now}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.store.Close())
		}
	}()
	a.rooms = chat.NewService(a.store, time.Now)
	// Nothing is signed here, so the server's keys are not needed.
	secret := make([]byte, auth.MinSecret)
	_, _ = rand.Read(secret) // never fails (crypto/rand)
	a.accounts, err = auth.New(a.store, auth.Config{Secret: secret, Issuer: "none", Audience: "none", Now: time.Now})
	return a, err
}

// firstAdmin creates the account of the admin setting, unless the name exists: later starts change nothing, and a
// forgotten setting does not restore a password.
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

// AddUser creates an account, even if sign-up is closed.
func (a *Admin) AddUser(ctx context.Context, username, password string, admin bool) error {
	name, err := chat.PrepareUsername(username)
	if err != nil {
		return err
	}
	ctx = byCommandLine(ctx, "createAccount", name, map[string]any{"role": roleOf(admin)})
	u, err := a.accounts.AddUser(ctx, name, password)
	if err != nil {
		return err
	}
	if admin {
		return a.store.SetAdmin(ctx, u.ID, true)
	}
	return nil
}

// SetAdmin makes a user an admin, or no longer one.
func (a *Admin) SetAdmin(ctx context.Context, username string, admin bool) error {
	u, err := a.user(ctx, username)
	if err != nil {
		return err
	}
	return a.store.SetAdmin(byCommandLine(ctx, "changeAccount", u.Name, map[string]any{"role": roleOf(admin)}), u.ID, admin)
}

// SetDisabled disables a user, which ends their sessions, tokens and streams, or enables them again.
func (a *Admin) SetDisabled(ctx context.Context, username string, disabled bool) error {
	u, err := a.user(ctx, username)
	if err != nil {
		return err
	}
	return a.store.SetDisabled(byCommandLine(ctx, "changeAccount", u.Name, map[string]any{"disabled": disabled}), u.ID, disabled, false)
}

// SetPassword sets a user's password and ends all of their sessions.
func (a *Admin) SetPassword(ctx context.Context, username, password string) error {
	u, err := a.user(ctx, username)
	if err != nil {
		return err
	}
	return a.accounts.SetPassword(byCommandLine(ctx, "changeAccount", u.Name, map[string]any{"password": true}), u, password)
}

// CreateToken creates an API token for a user; a life of zero is unlimited; without rooms and scopes it has no such
// limit.
func (a *Admin) CreateToken(ctx context.Context, username, name string, life time.Duration, rooms, scopes []string) (string, error) {
	if err := chat.CheckTokenName(name); err != nil {
		return "", err
	}
	if len(scopes) > 0 && len(rooms) > 0 {
		return "", errors.New("a token with scopes cannot have rooms")
	}
	u, err := a.user(ctx, username)
	if err != nil {
		return "", err
	}
	if len(scopes) > 0 && !u.Admin {
		return "", fmt.Errorf("%s is not an admin; only admins can have tokens with scopes", u.Name)
	}
	t := auth.NewToken{Name: name, Life: life, Scopes: slices.Compact(scopes)}
	if len(rooms) > 0 {
		found, missing, err := a.rooms.Follow(ctx, chat.Viewer{User: u.ID, Name: u.Name}, rooms, nil)
		if err != nil {
			return "", err
		}
		if len(missing) > 0 {
			return "", chat.RoomNotFound(missing[0])
		}
		for _, r := range found {
			t.Rooms = append(t.Rooms, r.ID)
		}
	}
	ctx = byCommandLine(ctx, "createToken", u.Name, map[string]any{"scopes": scopes})
	_, token, err := a.accounts.CreateToken(ctx, auth.Identity{User: u.ID}, t)
	if errors.Is(err, auth.ErrBadCredentials) {
		return "", fmt.Errorf("%s is disabled", u.Name)
	}
	return token, err
}

// byCommandLine returns ctx with a deed of the command line, for the audit log.
func byCommandLine(ctx context.Context, action, user string, detail map[string]any) context.Context {
	text, _ := json.Marshal(detail) // strings and truth values always encode
	return chat.WithDeed(ctx, &chat.Deed{Via: chat.ViaCommandLine, Action: action, Target: user, Detail: text})
}

func roleOf(admin bool) string {
	if admin {
		return "admin"
	}
	return "user"
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
