package auth

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"time"
)

const (
	// SessionLife is how long a session lasts after its last refresh.
	SessionLife = 30 * 24 * time.Hour
	// TicketLife is how long a ticket is valid.
	TicketLife = 30 * time.Second
	// reuseGrace is how long a spent refresh token gets the same response again: two tabs may refresh at once, or a
	// response may be lost.
	reuseGrace = 10 * time.Second
)

// Config configures New.
type Config struct {
	Secret       []byte // for refresh tokens and, without Keys, HS256; at least MinSecret bytes
	Keys         []Key  // sign and verify access tokens instead of Secret; at most two, the first signs
	Issuer       string
	Audience     string
	SignupClosed bool
	// Reserved returns why a prepared username can only be created by the operator, ErrNameTaken or ErrLooksTaken; nil
	// for no such names.
	Reserved    func(name string) error
	Outside     *Outside      // only its tokens, with Issuer and Audience, are valid; nil for our own
	HashCommand []string      // of a process that calls HashPasswords with its standard input and output; empty to hash here
	HashWait    time.Duration // for one hash by that process; 0 is 2 s
	HashMemory  uint32        // KiB that new password hashes take, for tests; 0 for OWASP's least
	Logger      *slog.Logger  // nil for none
	Now         func() time.Time
}

// Service authenticates callers. Its methods may be called concurrently.
type Service struct {
	store     Store
	passwords *passwords
	tokens    *tokens
	sessions  *sessions
	outside   *outside // nil unless only an outside issuer's tokens are valid
	refresh   []byte   // key of refresh tokens
	cookies   []byte   // key of stream cookies
	closed    bool
	reserved  func(name string) error
	now       func() time.Time
}

// New returns a Service over store, or an error for a secret that is too short or keys that cannot be combined.
func New(store Store, cfg Config) (*Service, error) {
	keys, err := newKeySet(cfg.Secret, cfg.Keys)
	if err != nil {
		return nil, err
	}
	t, err := newTokens(keys, cfg.Issuer, cfg.Audience, cfg.Now)
	if err != nil {
		return nil, err
	}
	if cfg.Reserved == nil {
		cfg.Reserved = func(string) error { return nil }
	}
	s := &Service{
		store: store, passwords: newPasswords(cfg.HashCommand, cmp.Or(cfg.HashWait, hashWait), cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))), tokens: t, sessions: newSessions(store), closed: cfg.SignupClosed, reserved: cfg.Reserved, now: cfg.Now,
		// A separate key for each use.
		refresh: mac(cfg.Secret, "tandem refresh tokens"),
		cookies: mac(cfg.Secret, "tandem stream cookies"),
	}
	if cfg.HashMemory != 0 {
		s.passwords.hashWith(cfg.HashMemory)
	}
	if cfg.Outside != nil {
		if len(cfg.Keys) > 0 {
			return nil, errors.New("JWT key files cannot be combined with an outside issuer")
		}
		// The dummy is a hash like any other, so that no code treats it specially, and nothing matches it.
		if s.outside, err = newOutside(store, cfg, s.passwords.dummy); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close ends the processes that hash passwords. Nobody can log in afterwards.
func (s *Service) Close() { s.passwords.close() }

// Grant is the result of a login.
type Grant struct {
	User         User
	AccessToken  string
	ExpiresIn    time.Duration
	RefreshToken string
	Cookie       string // opens streams as long as the session lasts
}

// Verify returns the identity of an access token or an API token, or ErrInvalidToken or ErrTokenExpired. An outside
// issuer's user gets an account when first seen; ErrNoIssuerKeys means that tokens cannot be verified yet.
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

// JWKS returns the JWK Set of the public keys, as JSON; it is empty if a secret or an outside issuer signs.
func (s *Service) JWKS() []byte { return s.tokens.keys.jwks() }

// Alive returns ErrInvalidToken if the session has ended or, for an outside issuer's user, who has none, the account.
func (s *Service) Alive(ctx context.Context, user, session int64) error {
	if session == 0 {
		_, err := s.User(ctx, Identity{User: user})
		return err
	}
	_, err := s.liveSession(ctx, session)
	return err
}

// liveSession returns a session that has neither ended nor expired, or ErrInvalidToken.
func (s *Service) liveSession(ctx context.Context, id int64) (Session, error) {
	n, err := s.sessions.get(ctx, id)
	if err == nil && n.expired(s.now()) { // it may have been refreshed since it was cached, here or on another node
		s.sessions.forget(id, 0)
		n, err = s.sessions.get(ctx, id)
	}
	if err == nil && n.expired(s.now()) {
		err = ErrInvalidToken
	}
	return n, invalidIfGone(err)
}

// Forget drops a session from the cache, or all if a user is named: a control event says that they may have ended.
func (s *Service) Forget(session, user int64) {
	s.sessions.forget(session, user)
	if s.outside != nil && user != 0 {
		s.outside.forget()
	}
}

// ForgetAll empties the cache: the store is a different one.
func (s *Service) ForgetAll() {
	s.sessions.forgetAll()
	if s.outside != nil {
		s.outside.forget()
	}
}

// Logout ends id's session. It returns ErrLoginClosed for an outside issuer's token, which only its issuer can end.
func (s *Service) Logout(ctx context.Context, id Identity) error {
	if id.Session == 0 {
		return ErrLoginClosed
	}
	return s.end(ctx, id.Session)
}

// end ends a session here at once, and on other nodes when they see it in the log.
func (s *Service) end(ctx context.Context, session int64) error {
	err := s.store.EndSession(ctx, session)
	s.Forget(session, 0)
	return err
}

// Ticket creates a ticket for one stream of id.
func (s *Service) Ticket(ctx context.Context, id Identity) (string, error) {
	ticket := rand.Text()
	return ticket, s.store.CreateTicket(ctx, hashOf(ticket), id, s.now().Add(TicketLife))
}

// SpendTicket spends a ticket and returns its identity, or ErrInvalidTicket. giveBack restores it for the rest of its
// time if it opened nothing.
func (s *Service) SpendTicket(ctx context.Context, ticket string) (id Identity, giveBack func(context.Context) error, err error) {
	id, expires, err := s.store.SpendTicket(ctx, hashOf(ticket))
	if err != nil {
		return Identity{}, nil, err
	}
	if id.Session == 0 {
		err = s.Alive(ctx, id.User, 0)
	} else {
		var n Session
		if n, err = s.sessions.get(ctx, id.Session); err == nil {
			id = identityOf(n, id.Expires)
		}
	}
	if err = invalidIfGone(err); errors.Is(err, ErrInvalidToken) {
		return Identity{}, nil, ErrInvalidTicket
	} else if err != nil {
		return Identity{}, nil, err
	}
	return id, func(ctx context.Context) error { return s.store.CreateTicket(ctx, hashOf(ticket), id, expires) }, nil
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
