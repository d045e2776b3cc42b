package harness

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"hash"
	"maps"
	"strings"
	"testing"
	"time"
)

// Claims are the claims of a JWT. The suite parses and signs tokens itself (RFC 7515, RFC 7519): using the server's library
// could hide a mistake in how the server uses it.
type Claims map[string]any

func ClaimsOf(t *testing.T, token string) Claims {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the access token is not a JWT: it has %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c Claims
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// With returns a copy with one claim replaced. A nil value removes it.
func (c Claims) With(name string, value any) Claims {
	other := maps.Clone(c)
	if value == nil {
		delete(other, name)
	} else {
		other[name] = value
	}
	return other
}

// Expiring returns a copy that expires after d, which may be negative.
func (c Claims) Expiring(d time.Duration) Claims {
	return c.With("exp", time.Now().Add(d).Unix())
}

// Sign signs a token with a secret. alg is HS256, HS384, HS512 or none.
func (c Claims) Sign(alg, secret string) string {
	encode := func(value any) string {
		text, _ := json.Marshal(value) // strings and numbers always marshal
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := encode(map[string]string{"alg": alg, "typ": "JWT"}) + "." + encode(c)
	newHash := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg]
	if newHash == nil {
		return signed + "."
	}
	mac := hmac.New(newHash, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
