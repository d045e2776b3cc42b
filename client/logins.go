package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Login is a user's login to a server.
type Login struct {
	Server   string `json:"server"`
	Username string `json:"username"`
	Token    string `json:"token"`
	// Refresh yields the next Token; an API token has none.
	Refresh string `json:"refresh_token,omitempty"`
	// RefreshAt is when to refresh, by this machine's clock.
	RefreshAt time.Time `json:"refresh_at,omitzero"`
}

// Logins is the file of logins, shared by all processes of a user. The latest login comes first and is the default.
type Logins struct {
	path string
}

// OpenLogins locates the file in TANDEM_CONFIG_DIR, or else in the folder tandem of the user's configuration. It need
// not exist yet.
func OpenLogins() (*Logins, error) {
	dir := os.Getenv("TANDEM_CONFIG_DIR")
	if dir == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("where to keep logins: %w (or set TANDEM_CONFIG_DIR)", err)
		}
		dir = filepath.Join(config, "tandem")
	}
	return &Logins{filepath.Join(dir, "logins.json")}, nil
}

// All returns the logins, the default first.
func (l *Logins) All() ([]Login, error) {
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	// Like ssh with keys. Windows has no such bits.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("other users of this machine can read %s: chmod 600 it, and log in again if you do not trust them", l.path)
	}
	text, err := os.ReadFile(l.path)
	if err != nil {
		return nil, err
	}
	var all []Login
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", l.path, err)
	}
	return all, nil
}

// Find returns the login of a server, or the default if server is "". It returns ErrLoggedOut if there is none.
func (l *Logins) Find(server string) (Login, error) {
	all, err := l.All()
	if err != nil {
		return Login{}, err
	}
	for _, login := range all {
		if server == "" || login.Server == server {
			return login, nil
		}
	}
	return Login{}, ErrLoggedOut
}

// Put stores a login as the default, replacing one of the same server.
func (l *Logins) Put(ctx context.Context, login Login) error {
	return l.locked(ctx, func() error {
		all, err := l.All()
		if err != nil {
			return err
		}
		return l.write(append([]Login{login}, without(all, login.Server)...))
	})
}

// Remove removes the login of a server.
func (l *Logins) Remove(ctx context.Context, server string) error {
	return l.locked(ctx, func() error {
		all, err := l.All()
		if err != nil {
			return err
		}
		return l.write(without(all, server))
	})
}

func without(all []Login, server string) []Login {
	return slices.DeleteFunc(all, func(l Login) bool { return l.Server == server })
}

// locked runs f while no other process changes the file. The lock has its own file, because write replaces this one.
func (l *Logins) locked(ctx context.Context, f func() error) (err error) {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	lock := flock.New(l.path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return fmt.Errorf("wait for another tandem process to release %s: %w", l.path, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return f()
}

// write replaces the file atomically, also if the process crashes.
func (l *Logins) write(all []Login) error {
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(l.path, append(text, '\n'))
}

// WriteFile replaces a file atomically, with mode 0600.
func WriteFile(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Session is the response to a login or a refresh.
type Session struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in"`
	User         struct {
		Username string `json:"username"`
	} `json:"user"`
}

// Login returns the part of a session to store.
func (s Session) Login(server string) Login {
	life := time.Duration(s.ExpiresIn) * time.Second
	return Login{server, s.User.Username, s.AccessToken, s.RefreshToken, time.Now().Add(life * 9 / 10)}
}

// Tokens returns the tokens of a login. c refreshes them, and needs none itself.
func (l *Logins) Tokens(login Login, c *Client) Tokens {
	return &refreshing{logins: l, client: c, login: login}
}

// refreshing refreshes a login's tokens for all processes: a refresh token can be used once, so one process at a time
// uses it, and the others find the new pair in the file.
type refreshing struct {
	logins *Logins
	client *Client
	mu     sync.Mutex
	login  Login
}

func (r *refreshing) Token(ctx context.Context, refused string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.login.fresh(refused) {
		return r.login.Token, nil
	}
	if r.login.Refresh == "" {
		return "", ErrLoggedOut
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, ErrUnreachable)
	defer cancel()
	err := r.logins.locked(ctx, func() error {
		all, err := r.logins.All()
		if err != nil {
			return err
		}
		at := slices.IndexFunc(all, func(l Login) bool { return l.Server == r.login.Server })
		if at < 0 || all[at].Username != r.login.Username {
			return ErrLoggedOut // or a different user now
		}
		if !all[at].fresh(refused) {
			s, err := r.refresh(ctx, all[at].Refresh)
			if err != nil {
				return err
			}
			all[at] = s.Login(r.login.Server)
			if err := r.logins.write(all); err != nil { // before it is used
				return err
			}
		}
		r.login = all[at]
		return nil
	})
	return r.login.Token, err
}

// fresh reports whether the token may be used; refused is one that the server has refused.
func (l Login) fresh(refused string) bool {
	return l.Token != refused && (l.RefreshAt.IsZero() || time.Now().Before(l.RefreshAt))
}

// refreshTry is how long to retry: the server repeats a lost response for 10 s, and ends the session of a client that
// comes later.
const refreshTry = 8 * time.Second

func (r *refreshing) refresh(ctx context.Context, token string) (Session, error) {
	nobody := *r.client
	nobody.Tokens = nil
	call := Call{Method: http.MethodPost, Path: "/v1/auth/refresh", JSON: map[string]string{"refresh_token": token}}
	for {
		var s Session
		try, cancel := context.WithTimeoutCause(ctx, refreshTry, &unreachable{context.DeadlineExceeded})
		err := nobody.Do(try, call, &s)
		cancel()
		if p, ok := errors.AsType[*Problem](err); ok && p.Status == http.StatusUnauthorized && p.Code != "" {
			return s, ErrLoggedOut
		}
		if err == nil || !Passing(err) || sleep(ctx, max(time.Second/2, retryAfter(err))) != nil {
			return s, err
		}
	}
}
