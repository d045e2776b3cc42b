// Package auth knows who is calling: passwords, access tokens, sessions with their refresh tokens, and
// tickets. It starts no goroutines (IssuerKeys.Run is to be run by its owner, who waits for it) and imports nothing of
// ours.
package auth

import (
	"context"
	"errors"
	"iter"
	"time"
)

// What Service answers where it does not let somebody in.
var (
	ErrNameTaken      = errors.New("the username is taken")
	ErrNoUser         = errors.New("no such user")
	ErrNoSession      = errors.New("no such session")
	ErrBadCredentials = errors.New("wrong username or password")
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
	Session int64 // 0 for an outside issuer's token alone
	Expires time.Time
}

// User is an account.
type User struct {
	ID       int64
	Name     string // prepared
	Password string // argon2id, PHC string format
	Admin    bool
	Disabled bool
}

// Session is a login that lasts by being refreshed.
type Session struct {
	ID         int64
	User       int64
	Seed       []byte // random; with the key and Generation it gives the refresh token
	Generation int64  // how often it was refreshed
	RotatedAt  time.Time
	ExpiresAt  time.Time
}

// Store keeps accounts and sessions.
type Store interface {
	// CreateUser returns ErrNameTaken where it is.
	CreateUser(ctx context.Context, name, password string) (User, error)
	// UserByName and UserByID return ErrNoUser.
	UserByName(ctx context.Context, name string) (User, error)
	UserByID(ctx context.Context, id int64) (User, error)
	// OutsideUser returns ErrNoUser for an issuer's subject that was never seen.
	OutsideUser(ctx context.Context, issuer, subject string) (User, error)
	// CreateOutsideUser makes the account of an issuer's subject under the first of names that is free. Where the
	// subject has one it returns that.
	CreateOutsideUser(ctx context.Context, issuer, subject, password string, names iter.Seq[string]) (User, error)

	CreateSession(ctx context.Context, s Session) (int64, error)
	// Session returns ErrNoSession.
	Session(ctx context.Context, id int64) (Session, error)
	// Rotate moves a session from generation from to the next; false where somebody was faster.
	Rotate(ctx context.Context, id, from int64, at, expires time.Time) (bool, error)
	EndSession(ctx context.Context, id int64) error

	CreateTicket(ctx context.Context, hash []byte, id Identity, expires time.Time) error
	// SpendTicket removes the ticket and says whose it was, or returns ErrInvalidTicket.
	SpendTicket(ctx context.Context, hash []byte) (Identity, error)
}
