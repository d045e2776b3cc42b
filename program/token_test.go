package program

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

// claims are what a JWT says. The suite reads and signs tokens by itself (RFC 7515, RFC 7519), so that a
// mistake in how the server uses its library cannot hide in the same use here.
type claims map[string]any

func claimsOf(t *testing.T, token string) claims {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the access token is no JWT: %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c claims
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// with is a copy in which one claim is replaced; nil takes it away.
func (c claims) with(name string, value any) claims {
	other := maps.Clone(c)
	if value == nil {
		delete(other, name)
	} else {
		other[name] = value
	}
	return other
}

// expiring is a copy that expires after d, which may be negative.
func (c claims) expiring(d time.Duration) claims {
	return c.with("exp", time.Now().Add(d).Unix())
}

// sign makes a token under a secret; alg is HS256, HS384, HS512 or none.
func (c claims) sign(alg, secret string) string {
	encode := func(value any) string {
		text, _ := json.Marshal(value) // of strings and numbers: it cannot fail
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
