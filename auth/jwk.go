package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// jwk is a public key in its published form (RFC 7517 §4; RFC 7518 §6; RFC 8037 §2).
type jwk struct {
	// The members that identify the key, in the order of RFC 7638 §3.2: the thumbprint is over these only.
	Curve string `json:"crv,omitempty"`
	E     string `json:"e,omitempty"`
	Type  string `json:"kty"`
	N     string `json:"n,omitempty"`
	X     string `json:"x,omitempty"`
	Y     string `json:"y,omitempty"`

	ID        string `json:"kid,omitempty"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
}

// newJWK describes a public key; its id is its RFC 7638 thumbprint, so that a key has the same id on every node.
func newJWK(public any, algorithm string) (jwk, error) {
	var k jwk
	switch p := public.(type) {
	case ed25519.PublicKey:
		k = jwk{Type: "OKP", Curve: "Ed25519", X: encode64(p)}
	case *rsa.PublicKey:
		k = jwk{Type: "RSA", N: encode64(p.N.Bytes()), E: encode64(big.NewInt(int64(p.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := p.Bytes() // 4, then the coordinates in equal parts (SEC 1 §2.3.3)
		if err != nil {
			return jwk{}, err
		}
		half := len(point) / 2
		k = jwk{Type: "EC", Curve: p.Curve.Params().Name, X: encode64(point[1 : 1+half]), Y: encode64(point[1+half:])}
	default:
		return jwk{}, fmt.Errorf("there is no JWK of a %T", public)
	}
	text, err := json.Marshal(k)
	if err != nil {
		return jwk{}, err
	}
	sum := sha256.Sum256(text)
	k.ID, k.Use, k.Algorithm = encode64(sum[:]), "sig", algorithm
	return k, nil
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
