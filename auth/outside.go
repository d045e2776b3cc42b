package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	lru "github.com/hashicorp/golang-lru/v2"
)

// Outside makes an outside issuer's tokens the only way to log in.
type Outside struct {
	Keys *IssuerKeys
	// PrepareName returns the form in which a username is stored, or an error for an invalid one.
	PrepareName func(string) (string, error)
}

// maxSubject is the longest subject, in bytes (OpenID Connect Core §2).
const maxSubject = 255

// outsideAlgorithms are those with public keys (RFC 8725 §3.1): a secret shared with an issuer does not belong at a
// JWKS URL.
var outsideAlgorithms = []string{"EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

// outside verifies an outside issuer's access tokens and knows its users.
type outside struct {
	store    Store
	issuer   string
	keys     *IssuerKeys
	keyOf    keyfunc.Keyfunc
	prepare  func(string) (string, error)
	reserved func(name string) error
	password string // its users' password here, which nothing matches
	now      func() time.Time
	parser   *jwt.Parser
	verified *lru.Cache[[sha256.Size]byte, verified] // by the token's hash: no token is kept
	epoch    atomic.Int64                            // grows when an account changes
}

// forget makes every account be checked again.
func (o *outside) forget() { o.epoch.Add(1) }

// verified is what a token proved, with that version of the keys and that epoch of the accounts.
type verified struct {
	id      Identity
	version int64
	epoch   int64
}

func newOutside(store Store, cfg Config, password string) (*outside, error) {
	keyOf, err := keyfunc.New(keyfunc.Options{Storage: cfg.Outside.Keys.store})
	if err != nil {
		return nil, err
	}
	cache, err := lru.New[[sha256.Size]byte, verified](100_000)
	if err != nil {
		return nil, err
	}
	return &outside{
		store: store, issuer: cfg.Issuer, keys: cfg.Outside.Keys, keyOf: keyOf, prepare: cfg.Outside.PrepareName, reserved: cfg.Reserved,
		password: password, now: cfg.Now, verified: cache,
		parser: jwt.NewParser(jwt.WithValidMethods(outsideAlgorithms), jwt.WithExpirationRequired(),
			jwt.WithIssuer(cfg.Issuer), jwt.WithAudience(cfg.Audience), jwt.WithLeeway(leeway), jwt.WithTimeFunc(cfg.Now),
			jwt.WithStrictDecoding()),
	}, nil
}

// verify returns ErrInvalidToken or ErrTokenExpired for an invalid token, and ErrNoIssuerKeys before the first fetch of
// the keys.
func (o *outside) verify(ctx context.Context, token string) (Identity, error) {
	hash := sha256.Sum256([]byte(token))
	version, epoch := o.keys.currentVersion(), o.epoch.Load()
	if v, ok := o.verified.Get(hash); ok && v.version == version && v.epoch == epoch {
		if o.now().After(v.id.Expires.Add(leeway)) {
			return Identity{}, ErrTokenExpired
		}
		return v.id, nil
	}
	// Not into a struct: encoding/json accepts SUB for sub there, a claim that users may choose for one that they may
	// not.
	claims := jwt.MapClaims{}
	_, err := o.parser.ParseWithClaims(token, claims, o.findKey(ctx))
	switch {
	case errors.Is(err, ErrNoIssuerKeys):
		return Identity{}, ErrNoIssuerKeys
	case errors.Is(err, jwt.ErrTokenExpired):
		return Identity{}, ErrTokenExpired
	case err != nil:
		return Identity{}, ErrInvalidToken
	}
	subject, err := claims.GetSubject()
	if err != nil || !plainSubject(subject) {
		return Identity{}, ErrInvalidToken
	}
	expires, err := claims.GetExpirationTime()
	if err != nil || expires == nil || expires.After(latest) {
		return Identity{}, ErrInvalidToken
	}
	u, err := o.user(ctx, subject, claims)
	if err != nil {
		return Identity{}, err
	}
	if u.Disabled {
		return Identity{}, ErrInvalidToken
	}
	id := Identity{User: u.ID, Name: u.Name, Expires: expires.Time}
	o.verified.Add(hash, verified{id, version, epoch})
	return id, nil
}

// latest is an expiry beyond that of any honest token. Far beyond it, times no longer fit where they are stored.
var latest = time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)

// findKey does what keyfunc does, for tokens that name their key. One without a kid would be tried with all keys, and
// crit requires what this verifier does not support (RFC 7515 §4.1.11).
func (o *outside) findKey(ctx context.Context) jwt.Keyfunc {
	find := o.keyOf.KeyfuncCtx(ctx)
	return func(t *jwt.Token) (any, error) {
		if kid, _ := t.Header["kid"].(string); kid == "" {
			return nil, errUnknownKey
		}
		if _, has := t.Header["crit"]; has {
			return nil, errors.New("crit is not understood")
		}
		return find(t)
	}
}

// plainSubject reports whether s can identify one user. Different unpaired surrogates become the same replacement
// character, which would merge two users.
func plainSubject(s string) bool {
	return s != "" && len(s) <= maxSubject && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r)
	})
}

// user returns the account of a subject, created when it is first seen.
func (o *outside) user(ctx context.Context, subject string, claims jwt.MapClaims) (User, error) {
	u, err := o.store.OutsideUser(ctx, o.issuer, subject)
	if !errors.Is(err, ErrNoUser) {
		return u, err
	}
	return o.store.CreateOutsideUser(ctx, o.issuer, subject, o.password, o.names(subject, claims))
}
