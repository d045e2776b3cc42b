package auth

import (
	"crypto/sha256"
	"errors"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// AccessLife is how long an access token is valid.
	AccessLife = 15 * time.Minute
	// leeway tolerates clock differences.
	leeway = 30 * time.Second
	// MinSecret is the minimum length of an HS256 secret in bytes (RFC 7518 §3.2).
	MinSecret = 32
)

// tokens creates and verifies access tokens.
type tokens struct {
	keys     keySet
	issuer   string
	audience string
	now      func() time.Time
	parser   *jwt.Parser
	verified *lru.Cache[[sha256.Size]byte, Identity] // by the token's hash: no token is kept
}

type claims struct {
	Name    string `json:"name"`
	Session int64  `json:"sid"`
	jwt.RegisteredClaims
}

func newTokens(keys keySet, issuer, audience string, now func() time.Time) (*tokens, error) {
	if issuer == "" || audience == "" {
		return nil, errors.New("jwt-issuer and jwt-audience must not be empty: an empty claim would not be checked")
	}
	verified, err := lru.New[[sha256.Size]byte, Identity](100_000)
	if err != nil {
		return nil, err
	}
	return &tokens{
		keys: keys, issuer: issuer, audience: audience, now: now, verified: verified,
		// Only the keys' algorithms: a free choice would allow a weaker one, or none (RFC 8725 §3.1).
		parser: jwt.NewParser(jwt.WithValidMethods(keys.algorithms()), jwt.WithExpirationRequired(),
			jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now),
			jwt.WithStrictDecoding()),
	}, nil
}

// issue creates an access token. The same arguments give the same token.
func (t *tokens) issue(u User, session int64, at time.Time) (string, error) {
	return t.keys.sign(claims{
		Name:    u.Name,
		Session: session,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    t.issuer,
			Audience:  jwt.ClaimStrings{t.audience},
			Subject:   strconv.FormatInt(u.ID, 10),
			IssuedAt:  jwt.NewNumericDate(at),
			ExpiresAt: jwt.NewNumericDate(at.Add(AccessLife)),
		},
	})
}

// verify returns ErrInvalidToken or ErrTokenExpired for an invalid token.
func (t *tokens) verify(token string) (Identity, error) {
	hash := sha256.Sum256([]byte(token))
	if id, ok := t.verified.Get(hash); ok {
		if t.now().After(id.Expires.Add(leeway)) {
			return Identity{}, ErrTokenExpired
		}
		return id, nil
	}
	var c claims
	_, err := t.parser.ParseWithClaims(token, &c, t.keys.find)
	if errors.Is(err, jwt.ErrTokenExpired) {
		return Identity{}, ErrTokenExpired
	}
	if err != nil {
		return Identity{}, ErrInvalidToken
	}
	user, err := strconv.ParseInt(c.Subject, 10, 64)
	if err != nil || user <= 0 || c.Session <= 0 {
		return Identity{}, ErrInvalidToken
	}
	id := Identity{User: user, Name: c.Name, Session: c.Session, Expires: c.ExpiresAt.Time}
	t.verified.Add(hash, id)
	return id, nil
}
