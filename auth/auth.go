// Package auth knows who is calling: passwords, access tokens, sessions with their refresh tokens, API tokens and
// tickets. It starts no goroutines (IssuerKeys.Run is to be run by its owner, who waits for it) and imports nothing of
// ours.
package auth

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// What Service answers where it does not let somebody in.
var (
	ErrNameTaken      = errors.New("the username is taken")
	ErrLooksTaken     = fmt.Errorf("%w: it looks the same as another one", ErrNameTaken)
	ErrNoUser         = errors.New("no such user")
	ErrNoSession      = errors.New("no such session")
	ErrNoToken        = errors.New("no such API token")
	ErrBadCredentials = errors.New("wrong username or password")
	ErrWrongPassword  = errors.New("the current password is another one")
	ErrSignupClosed   = errors.New("signing up is closed on this server")
	ErrLoginClosed    = errors.New("another service signs people in here; its access tokens count")
	ErrNoIssuerKeys   = errors.New("the keys of the tokens' issuer could not be read yet")
	ErrBadPassword    = errors.New("a password has 8 characters to 1,024 bytes")
	ErrInvalidToken   = errors.New("the access token is not valid")
	ErrTokenExpired   = errors.New("the access token has expired")
	ErrInvalidRefresh = errors.New("the refresh token is not valid")
	ErrRefreshReused  = errors.New("the refresh token was used before; the session is ended")
	ErrInvalidTicket  = errors.New("the ticket is unknown, used or older than 30 seconds")
	ErrBusy           = errors.New("too many logins at once")
)

// Identity is what a credential proves.
type Identity struct {
	User    int64
	Name    string
	Session int64     // the login, or the API token, that it comes from; 0 for an outside issuer's token
	Expires time.Time // of the credential; zero: never
	Script  bool      // an API token
	Rooms   []int64   // the rooms that it is limited to; nil: not limited
}

// User is an account.
type User struct {
	ID       int64
	Name     string // prepared
	Password string // argon2id, PHC string format
	Admin    bool
	Disabled bool
}

// Session is a login, which lasts by being refreshed, or an API token.
type Session struct {
	ID         int64
	User       int64
	Username   string // the user's; filled in where a session is read
	Seed       []byte // random; with the key and Generation it gives the refresh token
	Generation int64  // how often it was refreshed
	CreatedAt  time.Time
	RotatedAt  time.Time
	// RotatedBefore are the times of the refreshes before that, the latest first, as long as they are within the grace.
	RotatedBefore []time.Time
	ExpiresAt     time.Time // zero: never
	Token         []byte    // hash of an API token; nil for a login
	Name          string    // what an API token is for
	Rooms         []int64   // the rooms that it is limited to; nil: not limited
}

// expired tells whether the session's own life is over at t.
func (s *Session) expired(t time.Time) bool { return !s.ExpiresAt.IsZero() && t.After(s.ExpiresAt) }

// Store keeps accounts and sessions. What ends sessions also puts a control event into the log, in the same
// transaction, so that every node comes to know of it.
type Store interface {
	// CreateUser makes an account and, unless login is nil, its first session, whose number it returns. It returns
	// ErrNameTaken where the name is, or ErrLooksTaken, which is one, where it can be taken for another.
	CreateUser(ctx context.Context, name, password string, login *Session) (User, int64, error)
	// UserByName and UserByID return ErrNoUser.
	UserByName(ctx context.Context, name string) (User, error)
	UserByID(ctx context.Context, id int64) (User, error)
	// SetPassword ends all of the user's logins but except; API tokens stay.
	SetPassword(ctx context.Context, user int64, password string, except int64) error
	// SetDisabled ends, or allows again, all that the user may do. Deleted accounts are disabled for good, and are
	// members of no room.
	// Of the last admin an account is not deleted: chat.ErrLastAdmin.
	SetDisabled(ctx context.Context, user int64, disabled, deleted bool) error
	// OutsideUser returns ErrNoUser for an issuer's subject that was never seen.
	OutsideUser(ctx context.Context, issuer, subject string) (User, error)
	// CreateOutsideUser makes the account of an issuer's subject under the first of names that CreateUser would take. Where the
	// subject has one it returns that.
	CreateOutsideUser(ctx context.Context, issuer, subject, password string, names iter.Seq[string]) (User, error)

	CreateSession(ctx context.Context, s Session) (int64, error)
	// Session and SessionByToken return ErrNoSession.
	Session(ctx context.Context, id int64) (Session, error)
	SessionByToken(ctx context.Context, hash []byte) (Session, error)
	// Tokens lists a user's API tokens by id, behind after.
	Tokens(ctx context.Context, user, after int64, limit int) ([]Session, error)
	// Rotate gives a session the times and the generation of s, if it has the generation before; else somebody was
	// faster, and it changes nothing.
	Rotate(ctx context.Context, s Session) error
	// EndSession ends a login or an API token; nothing where it has ended.
	EndSession(ctx context.Context, id int64) error

	// CreateTicket keeps a ticket of id's. It returns ErrInvalidToken where id's session has ended.
	CreateTicket(ctx context.Context, hash []byte, id Identity, expires time.Time) error
	// SpendTicket removes the ticket and says whose it was and until when it would have been good, or returns
	// ErrInvalidTicket.
	SpendTicket(ctx context.Context, hash []byte) (Identity, time.Time, error)
}
