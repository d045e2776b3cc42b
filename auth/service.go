package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// SessionLife is how long a session lasts after it was last refreshed.
	SessionLife = 30 * 24 * time.Hour
	// TicketLife is how long a ticket waits to be used.
	TicketLife = 30 * time.Second
	// reuseGrace is how long a spent refresh token gets the same answer again: two tabs refresh at once, or
	// an answer is lost on the way.
	reuseGrace = 10 * time.Second
)

// Config is what New needs to know.
type Config struct {
	Secret       []byte // of refresh tokens and, without Keys, of HS256; at least MinSecret bytes
	Keys         []Key  // sign and verify access tokens in place of Secret; at most two, the first signs
	Issuer       string
	Audience     string
	SignupClosed bool
	Outside      *Outside // its tokens, with Issuer and Audience, are the only ones; nil for our own
	Now          func() time.Time
}

// Service lets people in. Its methods may be called concurrently.
type Service struct {
	store     Store
	passwords *passwords
	tokens    *tokens
	sessions  *sessions
	outside   *outside // nil unless an outside issuer's tokens are the only ones
	refresh   []byte   // key of refresh tokens
	cookies   []byte   // key of stream cookies
	closed    bool
	now       func() time.Time
}

// New returns a Service over store, or an error for a secret that is too short and for keys that do not go together.
func New(store Store, cfg Config) (*Service, error) {
	keys, err := newKeySet(cfg.Secret, cfg.Keys)
	if err != nil {
		return nil, err
	}
	t, err := newTokens(keys, cfg.Issuer, cfg.Audience, cfg.Now)
	if err != nil {
		return nil, err
	}
	s := &Service{
		store: store, passwords: newPasswords(), tokens: t, sessions: newSessions(store), closed: cfg.SignupClosed, now: cfg.Now,
		// A key for one use each.
		refresh: mac(cfg.Secret, "tandem refresh tokens"),
		cookies: mac(cfg.Secret, "tandem stream cookies"),
	}
	if cfg.Outside != nil {
		if len(cfg.Keys) > 0 {
			return nil, errors.New("JWT key files have nothing to sign where an outside issuer does")
		}
		// The dummy: a hash like any other, so that no code need know of it, and one that nothing matches.
		if s.outside, err = newOutside(store, cfg, s.passwords.dummy); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Grant is what a login gives.
type Grant struct {
	User         User
	AccessToken  string
	ExpiresIn    time.Duration
	RefreshToken string
	Cookie       string // opens streams for as long as the session lasts
}

// Signup makes an account under a prepared name and logs in.
func (s *Service) Signup(ctx context.Context, name, password string) (Grant, error) {
	if s.closed || s.outside != nil {
		return Grant{}, ErrSignupClosed
	}
	// Before the costly hash; CreateUser decides.
	if _, err := s.store.UserByName(ctx, name); err == nil {
		return Grant{}, ErrNameTaken
	} else if !errors.Is(err, ErrNoUser) {
		return Grant{}, err
	}
	u, err := s.AddUser(ctx, name, password)
	if err != nil {
		return Grant{}, err
	}
	return s.begin(ctx, u)
}

// AddUser makes an account under a prepared name, whether signing up is open or not. It returns ErrNameTaken or
// ErrBadPassword.
func (s *Service) AddUser(ctx context.Context, name, password string) (User, error) {
	password, err := preparePassword(password)
	if err != nil {
		return User{}, err
	}
	hash, err := s.passwords.hash(ctx, password)
	if err != nil {
		return User{}, err
	}
	return s.store.CreateUser(ctx, name, hash)
}

// SetPassword gives a user another password and ends all of their logins. It returns ErrBadPassword.
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

// Login returns ErrBadCredentials for an unknown name, which may be empty, as for a wrong password, and
// after the same time.
func (s *Service) Login(ctx context.Context, name, password string) (Grant, error) {
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
	return s.begin(ctx, u)
}

// Refresh spends a refresh token and gives the next pair.
func (s *Service) Refresh(ctx context.Context, token string) (Grant, error) {
	if s.outside != nil {
		return Grant{}, ErrLoginClosed
	}
	id, generation, ok := parseRefresh(token)
	if !ok {
		return Grant{}, ErrInvalidRefresh
	}
	for {
		n, err := s.store.Session(ctx, id)
		if errors.Is(err, ErrNoSession) {
			return Grant{}, ErrInvalidRefresh
		} else if err != nil {
			return Grant{}, err
		}
		now := s.now()
		if n.Token != nil || !hmac.Equal([]byte(token), []byte(s.refreshToken(n, generation))) || n.expired(now) {
			return Grant{}, ErrInvalidRefresh
		}
		u, err := s.store.UserByID(ctx, n.User)
		if err != nil && !errors.Is(err, ErrNoUser) {
			return Grant{}, err
		}
		if err != nil || u.Disabled {
			return Grant{}, ErrInvalidRefresh
		}
		switch {
		case generation == n.Generation:
			// Whole milliseconds, as they are stored: the answer is made again from them.
			now = now.Truncate(time.Millisecond)
			if _, err := s.store.Rotate(ctx, id, generation, now, now.Add(SessionLife)); err != nil {
				return Grant{}, err
			}
			// Rotated, by us or by a faster one: either way the row now says what the answer is.
		case generation == n.Generation-1 && now.Sub(n.RotatedAt) <= reuseGrace:
			return s.grant(u, n)
		default:
			// Somebody has a copy: end the session for both of them (RFC 9700 §4.14.2).
			if err := s.end(ctx, id); err != nil {
				return Grant{}, err
			}
			return Grant{}, ErrRefreshReused
		}
	}
}

// User is the account behind an identity; ErrInvalidToken where it is gone or disabled.
func (s *Service) User(ctx context.Context, id Identity) (User, error) {
	u, err := s.store.UserByID(ctx, id.User)
	if errors.Is(err, ErrNoUser) || err == nil && u.Disabled {
		return User{}, ErrInvalidToken
	}
	return u, err
}

// Verify says whom an access token or an API token stands for; ErrInvalidToken or ErrTokenExpired where for
// nobody, or no longer. An outside issuer's user gets an account at first sight; ErrNoIssuerKeys says that nobody can
// tell yet.
func (s *Service) Verify(ctx context.Context, token string) (Identity, error) {
	if isAPIToken(token) {
		return s.verifyAPIToken(ctx, token)
	}
	if s.outside != nil {
		return s.outside.verify(ctx, token)
	}
	id, err := s.tokens.verify(token)
	if err != nil {
		return Identity{}, err
	}
	n, err := s.sessions.get(ctx, id.Session)
	if err != nil {
		return Identity{}, invalidIfGone(err)
	}
	if n.User != id.User || n.Token != nil {
		return Identity{}, ErrInvalidToken
	}
	return id, nil
}

// JWKS is the JWK Set of the public keys, as JSON; it has no keys where a secret or an outside issuer signs.
func (s *Service) JWKS() []byte { return s.tokens.keys.jwks() }

// Alive returns ErrInvalidToken where the session has ended, or, for an outside issuer's user who has none, the
// account.
func (s *Service) Alive(ctx context.Context, user, session int64) error {
	if session == 0 {
		_, err := s.User(ctx, Identity{User: user})
		return err
	}
	_, err := s.sessions.get(ctx, session)
	return invalidIfGone(err)
}

// Forget has the service ask the store again about a session, or about all where a user is named: a control event
// says that they may have ended.
func (s *Service) Forget(session, user int64) {
	s.sessions.forget(session, user)
	if s.outside != nil && user != 0 {
		s.outside.forget()
	}
}

// Logout ends id's session. It returns ErrLoginClosed for an outside issuer's token, which its issuer alone can end.
func (s *Service) Logout(ctx context.Context, id Identity) error {
	if id.Session == 0 {
		return ErrLoginClosed
	}
	return s.end(ctx, id.Session)
}

// ChangePassword ends all other logins of id's. It returns ErrWrongPassword or ErrBadPassword.
func (s *Service) ChangePassword(ctx context.Context, id Identity, current, password string) (User, error) {
	if err := CheckPassword(password); err != nil {
		return User{}, err
	}
	u, err := s.confirm(ctx, id, current)
	if err != nil {
		return User{}, err
	}
	return u, s.setPassword(ctx, u, password, id.Session)
}

// DeleteUser ends id's account for good; its name is not given out again. It returns ErrWrongPassword.
func (s *Service) DeleteUser(ctx context.Context, id Identity, current string) error {
	u, err := s.confirm(ctx, id, current)
	if err != nil {
		return err
	}
	err = s.store.SetDisabled(ctx, u.ID, true, true)
	s.Forget(0, u.ID)
	return err
}

// confirm is the account of who knows its password: an unattended screen must not be enough.
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

// end ends a session here at once, and on other nodes when they see it in the log.
func (s *Service) end(ctx context.Context, session int64) error {
	err := s.store.EndSession(ctx, session)
	s.Forget(session, 0)
	return err
}

// Ticket makes a ticket for one stream of id's.
func (s *Service) Ticket(ctx context.Context, id Identity) (string, error) {
	ticket := rand.Text()
	return ticket, s.store.CreateTicket(ctx, hashOf(ticket), id, s.now().Add(TicketLife))
}

// SpendTicket says whose ticket this was, once; ErrInvalidTicket otherwise.
func (s *Service) SpendTicket(ctx context.Context, ticket string) (Identity, error) {
	id, err := s.store.SpendTicket(ctx, hashOf(ticket))
	if err != nil {
		return Identity{}, err
	}
	if err := s.Alive(ctx, id.User, id.Session); errors.Is(err, ErrInvalidToken) {
		return Identity{}, ErrInvalidTicket
	} else if err != nil {
		return Identity{}, err
	}
	return id, nil
}

// begin starts a session.
func (s *Service) begin(ctx context.Context, u User) (Grant, error) {
	now := s.now().Truncate(time.Millisecond)
	n := Session{User: u.ID, Seed: make([]byte, 32), CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(SessionLife)}
	_, _ = rand.Read(n.Seed) // never fails (crypto/rand)
	var err error
	if n.ID, err = s.store.CreateSession(ctx, n); err != nil {
		return Grant{}, err
	}
	return s.grant(u, n)
}

// grant is a function of its arguments, so that a repeated refresh gets the same answer on any node.
func (s *Service) grant(u User, n Session) (Grant, error) {
	access, err := s.tokens.issue(u, n.ID, n.RotatedAt)
	return Grant{
		User: u, AccessToken: access, ExpiresIn: AccessLife, RefreshToken: s.refreshToken(n, n.Generation), Cookie: s.cookie(n),
	}, err
}

// refreshToken is "<session>.<generation>.<mac>": it needs the session's seed from the database and the key,
// and is stored nowhere.
func (s *Service) refreshToken(n Session, generation int64) string {
	head := fmt.Sprintf("%d.%d", n.ID, generation)
	return head + "." + base64.RawURLEncoding.EncodeToString(mac(s.refresh, string(n.Seed)+head))
}

func parseRefresh(token string) (session, generation int64, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return 0, 0, false
	}
	session, err1 := strconv.ParseInt(parts[0], 10, 64)
	generation, err2 := strconv.ParseInt(parts[1], 10, 64)
	return session, generation, err1 == nil && err2 == nil
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
