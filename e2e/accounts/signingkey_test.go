package accounts

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tandem/e2e/harness"
)

// signingKey is a private key with which a test acts as a server, an external issuer or a forger.
type signingKey struct {
	alg     string // EdDSA, RS256 or ES256
	kid     string
	private crypto.Signer
}

var keyAlgorithms = []string{"EdDSA", "RS256", "ES256"}

// rsaKeys holds two keys, since generating one takes long.
var rsaKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

// newSigningKey returns a new key. For RS256 it returns the first of the two shared keys.
func newSigningKey(t *testing.T, alg string) *signingKey {
	t.Helper()
	k := &signingKey{alg: alg}
	var err error
	switch alg {
	case "EdDSA":
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	case "RS256":
		k.private = rsaKeys()[0]
	case "ES256":
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// file writes the key in the format that the server reads.
func (k *signingKey) file(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), k.alg+".pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// publicPEM is the public key as a file, which an attacker can have.
func (k *signingKey) publicPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// signature signs with alg, or with the key's own algorithm if alg does not fit the key (RFC 7518 §3, RFC 8037 §3.1).
func (k *signingKey) signature(t *testing.T, alg, text string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	sum512 := sha512.Sum512([]byte(text))
	var out []byte
	var err error
	switch p := k.private.(type) {
	case ed25519.PrivateKey:
		out = ed25519.Sign(p, []byte(text))
	case *rsa.PrivateKey:
		switch alg {
		case "RS512":
			out, err = rsa.SignPKCS1v15(rand.Reader, p, crypto.SHA512, sum512[:])
		case "PS256":
			out, err = rsa.SignPSS(rand.Reader, p, crypto.SHA256, sum[:], nil)
		default:
			out, err = rsa.SignPKCS1v15(rand.Reader, p, crypto.SHA256, sum[:])
		}
	case *ecdsa.PrivateKey:
		r, s, signErr := ecdsa.Sign(rand.Reader, p, sum[:])
		if err = signErr; err == nil {
			out = make([]byte, 64)
			r.FillBytes(out[:32])
			s.FillBytes(out[32:])
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// jwk returns the public key as a JWK.
func (k *signingKey) jwk(t *testing.T) map[string]string {
	t.Helper()
	j := map[string]string{"kid": k.kid, "alg": k.alg, "use": "sig"}
	switch p := k.private.Public().(type) {
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", text64(p)
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", text64(p.N.Bytes()), "AQAB"
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		j["kty"], j["crv"], j["x"], j["y"] = "EC", "P-256", text64(point[1:33]), text64(point[33:])
	}
	return j
}

// token returns a JWT with the key's header. Further header fields are given as pairs; nil removes one.
func (k *signingKey) token(t *testing.T, c any, header ...any) string {
	t.Helper()
	text := signedPart(t, map[string]any{"alg": k.alg, "kid": k.kid, "typ": "JWT"}, c, header)
	return text + "." + text64(k.signature(t, fmt.Sprint(headerOf(t, text).Alg), text))
}

// unsigned returns a token without its signature.
func unsigned(token string) string { return token[:strings.LastIndex(token, ".")+1] }

// hmacToken returns a JWT signed with HS256 and whatever an attacker might use as the secret.
func hmacToken(t *testing.T, secret []byte, c any, header ...any) string {
	t.Helper()
	text := signedPart(t, map[string]any{"alg": "HS256", "typ": "JWT"}, c, header)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + text64(mac.Sum(nil))
}

// signedPart encodes header and payload. The payload is c as JSON, or c itself if it is raw.
func signedPart(t *testing.T, header map[string]any, c any, changes []any) string {
	t.Helper()
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == nil {
			delete(header, changes[i].(string))
		} else {
			header[changes[i].(string)] = changes[i+1]
		}
	}
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	payload, isRaw := c.(harness.Raw)
	if !isRaw {
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		payload = harness.Raw(text)
	}
	return text64(head) + "." + text64([]byte(payload))
}

func text64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// headerOf returns the header of a JWT.
func headerOf(t *testing.T, token string) (header struct{ Alg, Kid any }) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	return header
}
