package auth

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Only issued tokens are accepted. An attacker can have old tokens, tokens with other keys, and any text that looks
// like one.
func FuzzAccessToken(f *testing.F) {
	at := time.Unix(1_800_000_000, 0)
	make := func(secret byte, issuer string) *tokens {
		keys, err := newKeySet(bytes.Repeat([]byte{secret}, MinSecret), nil)
		if err != nil {
			f.Fatal(err)
		}
		t, err := newTokens(keys, issuer, "tandem", func() time.Time { return at })
		if err != nil {
			f.Fatal(err)
		}
		return t
	}
	ours, others := make('a', "tandem"), make('b', "tandem")
	issued, err := ours.issue(User{ID: 7, Name: "ada"}, 9, at)
	if err != nil {
		f.Fatal(err)
	}
	foreign, _ := others.issue(User{ID: 7, Name: "ada"}, 9, at)
	old, _ := ours.issue(User{ID: 7, Name: "ada"}, 9, at.Add(-time.Hour))
	elsewhere, _ := make('a', "elsewhere").issue(User{ID: 7, Name: "ada"}, 9, at)
	none, _ := jwt.NewWithClaims(jwt.SigningMethodNone, claims{Name: "ada", Session: 9}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	parts := strings.Split(issued, ".")
	for _, s := range []string{
		issued, foreign, old, elsewhere, none, parts[0] + "." + parts[1] + ".", issued + "=", issued + ".", " " + issued, strings.ToUpper(issued),
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "." + parts[2], "..", "a.b.c", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ours.verify(s)
		if (err == nil) != (s == issued) {
			t.Errorf("Verify(%q) = %+v, %v", s, id, err)
		}
		if err != nil && id.User != 0 {
			t.Errorf("%q refused, but the identity is not empty: %+v", s, id)
		}
	})
}
