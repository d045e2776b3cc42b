package auth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/golang-jwt/jwt/v5"
)

// minRSA is the minimum size of an RSA key in bits (RFC 7518 §3.3).
const minRSA = 2048

// ReadKey reads a private key from a PEM file in PKCS#8: Ed25519 (EdDSA), RSA of 2048 bits or more (RS256) or P-256
// (ES256). Its errors name the file and the problem, and never show the content.
func ReadKey(file string) (Key, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Key{}, fmt.Errorf("JWT key file: %w", err) // names the file
	}
	k, err := parseKey(text)
	if err != nil {
		return Key{}, fmt.Errorf("JWT key file %s: %w", file, err)
	}
	return k, nil
}

const convert = "convert it with: openssl pkcs8 -topk8 -nocrypt"

func parseKey(text []byte) (Key, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return Key{}, errors.New("it contains no PEM block")
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return Key{}, errors.New("the key is encrypted, and tandem cannot ask for a passphrase; " + convert)
	case block.Type == "RSA PRIVATE KEY":
		return Key{}, errors.New("the key is in PKCS#1, not PKCS#8; " + convert)
	case block.Type == "EC PRIVATE KEY", block.Type == "EC PARAMETERS":
		return Key{}, errors.New("the key is in SEC 1, not PKCS#8; " + convert)
	case block.Type == "PUBLIC KEY", block.Type == "CERTIFICATE":
		return Key{}, fmt.Errorf("it holds a %s, but tokens are signed with a PRIVATE KEY", block.Type)
	case block.Type != "PRIVATE KEY":
		return Key{}, fmt.Errorf("it holds a PEM block of type %q, not PRIVATE KEY (PKCS#8)", block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return Key{}, errors.New("there is data after its first PEM block; use a separate file for each key")
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, errors.New("the PEM block is not a supported PKCS#8 private key: Ed25519, RSA or P-256")
	}
	return newKey(private)
}

func newKey(private any) (Key, error) {
	k := Key{private: private}
	switch p := private.(type) {
	case ed25519.PrivateKey:
		k.method, k.public = jwt.SigningMethodEdDSA, p.Public()
	case *rsa.PrivateKey:
		if bits := p.N.BitLen(); bits < minRSA {
			return Key{}, fmt.Errorf("the RSA key has %d bits, but RS256 needs at least %d", bits, minRSA)
		}
		k.method, k.public = jwt.SigningMethodRS256, &p.PublicKey
	case *ecdsa.PrivateKey:
		if p.Curve != elliptic.P256() {
			return Key{}, fmt.Errorf("the key is on the curve %s, but ES256 needs P-256", p.Curve.Params().Name)
		}
		k.method, k.public = repeatableES256{jwt.SigningMethodES256}, &p.PublicKey
	default:
		return Key{}, fmt.Errorf("a key of type %T cannot sign; use Ed25519, RSA or P-256", private)
	}
	var err error
	if k.jwk, err = newJWK(k.public, k.method.Alg()); err != nil {
		return Key{}, err
	}
	k.id = k.jwk.ID
	return k, nil
}
