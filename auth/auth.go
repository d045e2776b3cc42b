// Package auth authenticates callers: passwords, access tokens, sessions with their refresh tokens, API tokens and
// tickets. It starts no goroutines (its owner runs IssuerKeys.Run and waits for it) and imports no domain package.
package auth

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Errors of Service.
var (
	ErrNameTaken        = errors.New("the username is taken")
	ErrLooksTaken       = fmt.Errorf("%w: it looks like an existing name", ErrNameTaken)
	ErrNoUser           = errors.New("no such user")
	ErrNoSession        = errors.New("no such session")
	ErrNoToken          = errors.New("no such API token")
	ErrSessionForbidden = errors.New("sessions of admins and of disabled users cannot be created")
	ErrBadCredentials   = errors.New("wrong username or password")
	ErrWrongPassword    = errors.New("the current password is wrong")
	ErrSignupClosed     = errors.New("signing up is closed on this server")
	ErrLoginClosed      = errors.New("users log in with another service here; use its access tokens")
	ErrNoIssuerKeys     = errors.New("the keys of the tokens' issuer could not be read yet")
	ErrBadPassword      = errors.New("use 8 characters to 1,024 bytes")
	ErrInvalidToken     = errors.New("the access token is not valid")
	ErrTokenExpired     = errors.New("the access token has expired")
	ErrInvalidRefresh   = errors.New("the refresh token is not valid")
	ErrRefreshReused    = errors.New("the refresh token was used before; the session has ended")
	ErrInvalidTicket    = errors.New("the ticket is unknown, used or older than 30 seconds")
	ErrBusy             = errors.New("too many logins at once")
)

// Identity is what a credential proves.
type Identity struct {
	User    int64
	Name    string
	Session int64     // the session or API token that it comes from; 0 for an outside issuer's token
	Expires time.Time // of the credential; zero for never
	Script  bool      // an API token
	Rooms   []int64   // the rooms it is limited to; nil for no limit
	Scopes  []string  // all that an API token can do; nil for no limit
}

// User is an account.
type User struct {
	ID       int64
	Name     string // prepared
	Password string // argon2id, PHC string format
	Admin    bool
	Disabled bool
}

// Session is a login, which lasts as long as it is refreshed, or an API token.
type Session struct {
	ID         int64
	User       int64
	Username   string // filled in when a session is read
	Seed       []byte // random; with the key and Generation it yields the refresh token
	Generation int64  // how often it was refreshed
	CreatedAt  time.Time
	RotatedAt  time.Time
	// RotatedBefore are the times of earlier refreshes, the latest first, as long as they are within the grace.
	RotatedBefore []time.Time
	ExpiresAt     time.Time // zero for never
	Token         []byte    // hash of an API token; nil for a login
	Name          string    // of an API token
	Rooms         []int64   // the rooms it is limited to; nil for no limit
	Scopes        []string  // all that an API token can do; nil for no limit
	Device        Device    // of a login: where it began or was last refreshed
	MadeBy        int64     // of a login: the API token of the backend that created it; 0 if its user logged in
}

// ScopeSessions is the scope of API tokens that create sessions for users, and do nothing else.
const ScopeSessions = "sessions"

// Device is where a user logs in or refreshes.
type Device struct {
	Agent   string // the User-Agent header, truncated
	Address string // the IP address; empty if unknown
}

// expired reports whether the session itself has expired at t.
func (s *Session) expired(t time.Time) bool { return !s.ExpiresAt.IsZero() && t.After(s.ExpiresAt) }

// Store stores accounts and sessions. Whatever ends sessions also appends a control event to the log, in the same
// transaction, so that every node learns of it.
type Store interface {
	// CreateUser creates an account and, unless login is nil, its first session, whose number it returns. It returns
	// ErrNameTaken, or ErrLooksTaken, which wraps it, if the name can be confused with another.
	CreateUser(ctx context.Context, name, password string, login *Session) (User, int64, error)
	// UserByName and UserByID return ErrNoUser.
	UserByName(ctx context.Context, name string) (User, error)
	UserByID(ctx context.Context, id int64) (User, error)
	// SetPassword ends all of the user's sessions except one; API tokens stay.
	SetPassword(ctx context.Context, user int64, password string, except int64) error
	// SetDisabled disables a user and ends all their sessions, tokens and streams, or enables the user again. Deleted
	// accounts are disabled for good, and are members of no room. The last admin's account cannot be deleted:
	// chat.ErrLastAdmin.
	SetDisabled(ctx context.Context, user int64, disabled, deleted bool) error
	// OutsideUser returns ErrNoUser for an issuer's unknown subject.
	OutsideUser(ctx context.Context, issuer, subject string) (User, error)
	// CreateOutsideUser creates the account of an issuer's subject under the first of names that CreateUser accepts. If
	// the subject has one, it returns that.
	CreateOutsideUser(ctx context.Context, issuer, subject, password string, names iter.Seq[string]) (User, error)

	// CreateSession returns ErrBadCredentials for a disabled user and, with MadeBy, ErrSessionForbidden for an admin.
	CreateSession(ctx context.Context, s Session) (int64, error)
	// Session and SessionByToken return ErrNoSession.
	Session(ctx context.Context, id int64) (Session, error)
	SessionByToken(ctx context.Context, hash []byte) (Session, error)
	// Tokens lists a user's API tokens by id, starting after after, and Logins their sessions: those that have not
	// expired at now.
	Tokens(ctx context.Context, user, after int64, now time.Time, limit int) ([]Session, error)
	Logins(ctx context.Context, user, after int64, now time.Time, limit int) ([]Session, error)
	// Rotate stores the times, the generation and the device of s if the session has the generation before; otherwise
	// another call was faster, and it changes nothing.
	Rotate(ctx context.Context, s Session) error
	// EndSession ends a login or an API token; it does nothing if that has ended.
	EndSession(ctx context.Context, id int64) error

	// CreateTicket stores a ticket of id. It returns ErrInvalidToken if id's session has ended.
	CreateTicket(ctx context.Context, hash []byte, id Identity, expires time.Time) error
	// SpendTicket removes the ticket and returns its identity and expiry, or ErrInvalidTicket.
	SpendTicket(ctx context.Context, hash []byte) (Identity, time.Time, error)
}
