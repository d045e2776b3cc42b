package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// repeatableES256 is ES256 that signs the same text with the same signature (RFC 6979), as EdDSA and RS256 do: a
// refresh token presented again gets the same response (docs/decisions/0005). Verification does not change.
type repeatableES256 struct{ *jwt.SigningMethodECDSA }

// Sign implements jwt.SigningMethod; key is a P-256 *ecdsa.PrivateKey.
func (repeatableES256) Sign(text string, key any) ([]byte, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	sum := sha256.Sum256([]byte(text))
	der, err := private.Sign(nil, sum[:], crypto.SHA256) // no source of randomness: RFC 6979 (crypto/ecdsa)
	if err != nil {
		return nil, err
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		return nil, err
	}
	signature := make([]byte, 64) // RFC 7518 §3.4: both numbers in 32 bytes each
	pair.R.FillBytes(signature[:32])
	pair.S.FillBytes(signature[32:])
	return signature, nil
}
