package auth

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"strconv"
	"strings"
)

// cookie is "<session>.<mac>": like the refresh token it needs the session's seed and a key, and is stored nowhere.
// It is the same for the session's whole life.
func (s *Service) cookie(n Session) string {
	head := strconv.FormatInt(n.ID, 10)
	return head + "." + base64.RawURLEncoding.EncodeToString(mac(s.cookies, string(n.Seed)+head))
}

// Cookie is the stream cookie of id's session, or empty where id is no login.
func (s *Service) Cookie(ctx context.Context, id Identity) (string, error) {
	if id.Session == 0 || id.Script {
		return "", nil
	}
	n, err := s.sessions.get(ctx, id.Session)
	if err != nil {
		return "", invalidIfGone(err)
	}
	return s.cookie(n), nil
}

// VerifyCookie says whose stream cookie this is; ErrInvalidToken where nobody's, or no longer.
func (s *Service) VerifyCookie(ctx context.Context, value string) (Identity, error) {
	if s.outside != nil {
		return Identity{}, ErrInvalidToken // of a login here, and logging in here is closed
	}
	head, _, _ := strings.Cut(value, ".")
	id, err := strconv.ParseInt(head, 10, 64)
	if err != nil {
		return Identity{}, ErrInvalidToken
	}
	n, err := s.sessions.get(ctx, id)
	if err != nil {
		return Identity{}, invalidIfGone(err)
	}
	if n.Token != nil || n.expired(s.now()) || !hmac.Equal([]byte(value), []byte(s.cookie(n))) {
		return Identity{}, ErrInvalidToken
	}
	return identityOf(n, n.ExpiresAt), nil
}
