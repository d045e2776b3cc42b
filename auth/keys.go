package auth

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// maxKeys is how many key files there can be: the one that signs, and the previous one.
const maxKeys = 2

// Key signs and verifies access tokens with one algorithm. Its zero value is invalid; use ReadKey.
type Key struct {
	id      string            // the kid of its tokens; empty for the secret, whose tokens have none
	method  jwt.SigningMethod // bound to the key: a token's header cannot choose another
	private any
	public  any
	jwk     jwk
}

// keySet are the keys whose tokens are valid. The first signs.
type keySet []Key

var errUnknownKey = errors.New("no key of that id and algorithm")

// secretKey returns the key of HS256, or an error if the secret is shorter than MinSecret.
func secretKey(secret []byte) (Key, error) {
	if len(secret) < MinSecret {
		return Key{}, fmt.Errorf("the JWT secret has %d bytes, but HS256 needs at least %d", len(secret), MinSecret)
	}
	return Key{method: jwt.SigningMethodHS256, private: secret, public: secret}, nil
}

// newKeySet returns the key files' keys, or the secret if there are none: never both, so that a token made with a
// public key as the HMAC secret cannot be confused with anything (RFC 8725 §2.1).
func newKeySet(secret []byte, files []Key) (keySet, error) {
	if len(files) == 0 {
		k, err := secretKey(secret)
		return keySet{k}, err
	}
	if len(files) > maxKeys {
		return nil, fmt.Errorf("there are %d JWT key files; use at most %d: the one that signs, and the previous one", len(files), maxKeys)
	}
	if len(files) == 2 && files[0].id == files[1].id {
		return nil, errors.New("both JWT key files contain the same key")
	}
	return files, nil
}

func (s keySet) sign(c jwt.Claims) (string, error) {
	k := s[0]
	t := jwt.NewWithClaims(k.method, c)
	if k.id != "" {
		t.Header["kid"] = k.id
	}
	return t.SignedString(k.private)
}

// find is a jwt.Keyfunc. Only kid and alg select the key; a key inside a token (jwk, jku, x5u, x5c) is ignored (RFC
// 8725 §3.10).
func (s keySet) find(t *jwt.Token) (any, error) {
	id := ""
	if header, has := t.Header["kid"]; has {
		text, ok := header.(string)
		if !ok || text == "" {
			return nil, errUnknownKey
		}
		id = text
	}
	for _, k := range s {
		if k.id == id && k.method.Alg() == t.Method.Alg() {
			return k.public, nil
		}
	}
	return nil, errUnknownKey
}

func (s keySet) algorithms() (list []string) {
	for _, k := range s {
		list = append(list, k.method.Alg())
	}
	return list
}

// jwks returns the public keys as a JWK Set (RFC 7517 §5). A secret has no public key.
func (s keySet) jwks() []byte {
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range s {
		if k.id != "" {
			set.Keys = append(set.Keys, k.jwk)
		}
	}
	text, _ := json.Marshal(set) // of strings: it cannot fail
	return text
}
