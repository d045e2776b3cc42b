package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// rsaKey is generated once, since that takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, minRSA)
	if err != nil {
		panic(err)
	}
	return k
})

func ed25519Key(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ecKey(t *testing.T, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pkcs8(t *testing.T, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func mustParse(t *testing.T, private any) Key {
	t.Helper()
	k, err := parseKey(pkcs8(t, private))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestEachKindOfKeySignsAndVerifiesByItsAlgorithm(t *testing.T) {
	for alg, private := range map[string]any{"EdDSA": ed25519Key(t), "RS256": rsaKey(), "ES256": ecKey(t, elliptic.P256())} {
		t.Run(alg, func(t *testing.T) {
			_, _, c := newService(t)
			s, err := New(&memory{}, Config{Secret: secret, Keys: []Key{mustParse(t, private)}, Issuer: "tandem", Audience: "tandem", Now: c.now})
			if err != nil {
				t.Fatal(err)
			}
			first, err := s.begin(t.Context(), User{ID: 1, Name: "ada"}, s.newSession(Device{}))
			if err != nil {
				t.Fatal(err)
			}
			if id, err := s.Verify(t.Context(), first.AccessToken); err != nil || id.User != 1 {
				t.Errorf("Verify = %+v, %v", id, err)
			}
			header, _, err := jwt.NewParser().ParseUnverified(first.AccessToken, jwt.MapClaims{})
			if err != nil || header.Header["alg"] != alg || header.Header["kid"] != s.tokens.keys[0].id {
				t.Errorf("header = %v, %v", header.Header, err)
			}
			second, err := s.Refresh(t.Context(), first.RefreshToken, Device{})
			if err != nil {
				t.Fatal(err)
			}
			if again, err := s.Refresh(t.Context(), first.RefreshToken, Device{}); err != nil || again != second {
				t.Errorf("same refresh token got a different response: %v", err)
			}
		})
	}
}

// RFC 6979 A.2.5 has this signature of "sample": it must be the same on every node.
func TestES256IsRepeatable(t *testing.T) {
	d, _ := hex.DecodeString("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := repeatableES256{jwt.SigningMethodES256}.Sign("sample", private)
	if err != nil {
		t.Fatal(err)
	}
	const want = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
	if hex.EncodeToString(got) != want {
		t.Errorf("signature: got %x, want %s", got, want)
	}
	// Numbers with leading zeros keep their 32 bytes; among this many, some have them.
	for i := range 600 {
		text := strings.Repeat("x", i)
		signature, err := repeatableES256{jwt.SigningMethodES256}.Sign(text, private)
		if err != nil {
			t.Fatal(err)
		}
		if err := jwt.SigningMethodES256.Verify(text, signature, &private.PublicKey); err != nil {
			t.Fatalf("signature %d: %v", i, err)
		}
	}
}

// The examples of RFC 7638 §3.1 and RFC 8037 A.3.
func TestThumbprints(t *testing.T) {
	n, _ := base64.RawURLEncoding.DecodeString("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")
	x, _ := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	for want, public := range map[string]any{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537},
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": ed25519.PublicKey(x),
	} {
		if k, err := newJWK(public, ""); err != nil || k.ID != want {
			t.Errorf("the thumbprint of a %T is %q, %v", public, k.ID, err)
		}
	}
}

func TestUnusableKeyFiles(t *testing.T) {
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ecKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	good := pkcs8(t, ed25519Key(t))
	for says, text := range map[string][]byte{
		"no PEM block":               []byte("hello"),
		"tokens are signed with a ":  block("PUBLIC KEY", public),
		"is in PKCS#1":               block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())),
		"is in SEC 1":                block("EC PRIVATE KEY", sec1),
		"is encrypted":               block("ENCRYPTED PRIVATE KEY", []byte("secret bytes")),
		"key is encrypted":           []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"),
		`type "OPENSSH PRIVATE KEY"`: block("OPENSSH PRIVATE KEY", []byte("x")),
		"not a supported PKCS#8":     block("PRIVATE KEY", []byte("garbage")),
		"has 1024 bits":              pkcs8(t, small),
		"on the curve P-384":         pkcs8(t, ecKey(t, elliptic.P384())),
		"a separate file":            append(bytes.Clone(good), good...),
	} {
		file := filepath.Join(t.TempDir(), "tokens.pem")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKey(file)
		if err == nil {
			t.Errorf("%q: accepted, want an error", says)
		} else if !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), file) {
			t.Errorf("error = %q, want it to contain %q", err, says)
		}
	}
	if _, err := ReadKey("/no/such/file.pem"); err == nil || !strings.Contains(err.Error(), "/no/such/file.pem") {
		t.Errorf("missing file: got %v", err)
	}
	if _, err := parseKey(append(good, '\n', ' ')); err != nil {
		t.Errorf("white space after the block: %v", err)
	}
}

func TestInvalidCombinationsOfKeys(t *testing.T) {
	a, b, c := mustParse(t, ed25519Key(t)), mustParse(t, ed25519Key(t)), mustParse(t, rsaKey())
	if _, err := newKeySet(secret, []Key{a, b, c}); err == nil {
		t.Error("three keys accepted")
	}
	if _, err := newKeySet(secret, []Key{a, a}); err == nil {
		t.Error("same key accepted twice")
	}
	if s, err := newKeySet(secret, []Key{a, c}); err != nil || len(s) != 2 {
		t.Errorf("two keys: got %v, %v", s, err)
	}
}

func TestKidIsRequiredAndBoundToItsAlgorithm(t *testing.T) {
	first, second := mustParse(t, rsaKey()), mustParse(t, ecKey(t, elliptic.P256()))
	both, err := newKeySet(secret, []Key{first, second})
	if err != nil {
		t.Fatal(err)
	}
	token := func(m jwt.SigningMethod, kid any) *jwt.Token {
		header := map[string]any{"alg": m.Alg()}
		if kid != nil {
			header["kid"] = kid
		}
		return &jwt.Token{Header: header, Method: m}
	}
	for name, bad := range map[string]*jwt.Token{
		"no kid":             token(jwt.SigningMethodRS256, nil),
		"an empty kid":       token(jwt.SigningMethodRS256, ""),
		"a kid of no text":   token(jwt.SigningMethodRS256, 1),
		"a foreign kid":      token(jwt.SigningMethodRS256, "foreign"),
		"the other's kid":    token(jwt.SigningMethodRS256, second.id),
		"HS256 under a kid":  token(jwt.SigningMethodHS256, first.id),
		"HS256 without one":  token(jwt.SigningMethodHS256, nil),
		"RS512 under RS256":  token(jwt.SigningMethodRS512, first.id),
		"PS256 under RS256":  token(jwt.SigningMethodPS256, first.id),
		"ES384 under a P256": token(jwt.SigningMethodES384, second.id),
	} {
		if k, err := both.find(bad); !errors.Is(err, errUnknownKey) {
			t.Errorf("%s: found %T, %v", name, k, err)
		}
	}
	if k, err := both.find(token(jwt.SigningMethodES256, second.id)); err != nil || k != second.public {
		t.Errorf("the second key: %v, %v", k, err)
	}
}
