package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"
	"time"
)

// tokenPrefix starts API tokens, so that people and secret scanners recognize one.
const tokenPrefix = "tandem_"

// NewToken describes an API token to create.
type NewToken struct {
	Name   string        // what it is for
	Life   time.Duration // 0 is unlimited
	Rooms  []int64       // the numbers of the rooms it is limited to; nil for no limit
	Scopes []string      // all that it can do; nil for no limit
}

// CreateToken creates an API token for a script of id and returns it: nobody can read it again.
func (s *Service) CreateToken(ctx context.Context, id Identity, t NewToken) (Session, string, error) {
	token := tokenPrefix + rand.Text()
	now := s.now().Truncate(time.Millisecond)
	n := Session{User: id.User, CreatedAt: now, RotatedAt: now, Token: hashOf(token), Name: t.Name, Rooms: t.Rooms, Scopes: t.Scopes}
	if t.Life > 0 {
		n.ExpiresAt = now.Add(t.Life)
	}
	var err error
	n.ID, err = s.store.CreateSession(ctx, n)
	return n, token, err
}

// Tokens lists id's API tokens by number, starting after after.
func (s *Service) Tokens(ctx context.Context, id Identity, after int64, limit int) ([]Session, error) {
	return s.store.Tokens(ctx, id.User, after, s.now(), limit)
}

// RevokeToken ends an API token of id, or returns ErrNoToken.
func (s *Service) RevokeToken(ctx context.Context, id Identity, token int64) error {
	n, err := s.store.Session(ctx, token)
	if errors.Is(err, ErrNoSession) || err == nil && (n.Token == nil || n.User != id.User) {
		return ErrNoToken
	}
	if err != nil {
		return err
	}
	return s.end(ctx, token)
}

func (s *Service) verifyAPIToken(ctx context.Context, token string) (Identity, error) {
	n, err := s.sessions.getByToken(ctx, hashOf(token))
	if err != nil {
		return Identity{}, invalidIfGone(err)
	}
	if n.expired(s.now()) {
		return Identity{}, ErrTokenExpired
	}
	return identityOf(n, n.ExpiresAt), nil
}

func identityOf(n Session, expires time.Time) Identity {
	return Identity{User: n.User, Name: n.Username, Session: n.ID, Expires: expires, Script: n.Token != nil, Rooms: n.Rooms, Scopes: n.Scopes}
}

func invalidIfGone(err error) error {
	if errors.Is(err, ErrNoSession) {
		return ErrInvalidToken
	}
	return err
}

func isAPIToken(token string) bool { return strings.HasPrefix(token, tokenPrefix) }

func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
