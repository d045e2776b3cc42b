package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Refresh spends a refresh token and returns the next pair.
func (s *Service) Refresh(ctx context.Context, token string, from Device) (Grant, error) {
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
			// Rotated, by this call or a faster one: either way the row determines the response.
			if err := s.store.Rotate(ctx, n.rotated(now, from)); err != nil {
				return Grant{}, err
			}
		case n.backTo(generation+1) && now.Sub(n.RotatedAt) <= reuseGrace:
			return s.grant(u, n)
		default:
			// Someone has a copy: end the session for both of them (RFC 9700 §4.14.2).
			if err := s.end(ctx, id); err != nil {
				return Grant{}, err
			}
			return Grant{}, ErrRefreshReused
		}
	}
}

// rotated returns n after a refresh.
func (n Session) rotated(at time.Time, from Device) Session {
	n.Device = from
	before := append([]time.Time{n.RotatedAt}, n.RotatedBefore...)
	n.RotatedBefore = slices.DeleteFunc(before, func(t time.Time) bool { return at.Sub(t) > reuseGrace })
	n.RotatedBefore = n.RotatedBefore[:min(len(n.RotatedBefore), maxRotations)]
	n.Generation++
	// Whole milliseconds, as stored: the response is recreated from them.
	n.RotatedAt = at.Truncate(time.Millisecond)
	n.ExpiresAt = n.RotatedAt.Add(SessionLife)
	return n
}

// backTo resets n to a generation; false if that is no longer, or not yet, known.
func (n *Session) backTo(generation int64) bool {
	switch back := n.Generation - generation; {
	case back < 0 || back > int64(len(n.RotatedBefore)):
		return false
	case back > 0:
		n.Generation, n.RotatedAt = generation, n.RotatedBefore[back-1]
	}
	return true
}

// maxRotations bounds how many refreshes within the grace are remembered.
const maxRotations = 32

func (s *Service) newSession(from Device) Session {
	now := s.now().Truncate(time.Millisecond)
	n := Session{Device: from, Seed: make([]byte, 32), CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(SessionLife)}
	_, _ = rand.Read(n.Seed) // never fails (crypto/rand)
	return n
}

// begin starts the session n of u.
func (s *Service) begin(ctx context.Context, u User, n Session) (Grant, error) {
	n.User = u.ID
	var err error
	if n.ID, err = s.store.CreateSession(ctx, n); err != nil {
		return Grant{}, err
	}
	return s.grant(u, n)
}

// grant is a function of its arguments, so that a repeated refresh gets the same response on any node.
func (s *Service) grant(u User, n Session) (Grant, error) {
	access, err := s.tokens.issue(u, n.ID, n.RotatedAt)
	return Grant{
		User: u, AccessToken: access, ExpiresIn: AccessLife, RefreshToken: s.refreshToken(n, n.Generation), Cookie: s.cookie(n),
	}, err
}

// refreshToken returns "<session>.<generation>.<mac>": it needs the session's seed from the database and the key, and
// is not stored.
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
