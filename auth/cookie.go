package auth

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// cookie returns "<session>.<mac>": like the refresh token it needs the session's seed and a key, and is not stored. It
// stays the same for the session's whole life.
func (s *Service) cookie(n Session) string {
	head := strconv.FormatInt(n.ID, 10)
	return head + "." + base64.RawURLEncoding.EncodeToString(mac(s.cookies, string(n.Seed)+head))
}

// outsideCookie returns "outside.<user>.<expiry in milliseconds>.<mac>": an outside issuer's user has no session here,
// so the cookie lasts as long as the token.
func (s *Service) outsideCookie(user int64, expires time.Time) string {
	head := fmt.Sprintf("outside.%d.%d", user, expires.UnixMilli())
	return head + "." + base64.RawURLEncoding.EncodeToString(mac(s.cookies, head))
}

func (s *Service) verifyOutsideCookie(ctx context.Context, value string) (Identity, error) {
	parts := strings.Split(value, ".")
	if len(parts) != 4 {
		return Identity{}, ErrInvalidToken
	}
	user, err1 := strconv.ParseInt(parts[1], 10, 64)
	milli, err2 := strconv.ParseInt(parts[2], 10, 64)
	expires := time.UnixMilli(milli)
	if err1 != nil || err2 != nil || !hmac.Equal([]byte(value), []byte(s.outsideCookie(user, expires))) {
		return Identity{}, ErrInvalidToken
	}
	if s.now().After(expires) {
		return Identity{}, ErrTokenExpired
	}
	u, err := s.User(ctx, Identity{User: user})
	return Identity{User: u.ID, Name: u.Name, Expires: expires}, err
}

// Cookie returns the stream cookie of id's session and its lifetime; empty if id is a script.
func (s *Service) Cookie(ctx context.Context, id Identity) (value string, life time.Duration, err error) {
	switch {
	case id.Script:
		return "", 0, nil
	case id.Session == 0:
		return s.outsideCookie(id.User, id.Expires), id.Expires.Sub(s.now()), nil
	}
	n, err := s.sessions.get(ctx, id.Session)
	if err != nil {
		return "", 0, invalidIfGone(err)
	}
	return s.cookie(n), SessionLife, nil
}

// VerifyCookie returns the identity of a stream cookie, or ErrInvalidToken if it is invalid or has expired.
func (s *Service) VerifyCookie(ctx context.Context, value string) (Identity, error) {
	if s.outside != nil { // then cookies of local sessions are invalid, because local login is closed
		return s.verifyOutsideCookie(ctx, value)
	}
	head, _, _ := strings.Cut(value, ".")
	id, err := strconv.ParseInt(head, 10, 64)
	if err != nil {
		return Identity{}, ErrInvalidToken
	}
	n, err := s.liveSession(ctx, id)
	if err != nil {
		return Identity{}, err
	}
	if n.Token != nil || !hmac.Equal([]byte(value), []byte(s.cookie(n))) {
		return Identity{}, ErrInvalidToken
	}
	return identityOf(n, n.ExpiresAt), nil
}
