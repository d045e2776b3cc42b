package auth

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// accounts is a Store with some users, and the sessions of memory.
type accounts struct {
	memory
	users map[string]User
}

func (a *accounts) UserByName(_ context.Context, name string) (User, error) {
	u, ok := a.users[name]
	if !ok {
		return User{}, ErrNoUser
	}
	return u, nil
}

// Key derivation takes tens of milliseconds and everything else almost nothing, so an attacker can observe the number
// of derivations: it must be one per login, whether or not the name exists, and for every kind of error.
func TestEachLoginDerivesOneKey(t *testing.T) {
	const right = "correct horse"
	store := &accounts{users: map[string]User{}}
	s, err := New(store, Config{Secret: secret, Issuer: "tandem", Audience: "tandem", Now: (&clock{}).now})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := s.passwords.hash(t.Context(), right)
	if err != nil {
		t.Fatal(err)
	}
	store.users["ada"] = User{ID: 1, Name: "ada", Password: hash}
	store.users["eve"] = User{ID: 2, Name: "eve", Password: hash, Disabled: true}

	derived, salts := 0, 0
	s.passwords.key = func(_ *hasher, _ uint32, password, salt []byte) []byte {
		derived++
		salts += len(salt)
		if string(password) == right { // as hashed; no real derivation is needed here
			_, _, key, _ := parsePHC(hash)
			return bytes.Clone(key)
		}
		return make([]byte, argonKey) // the dummy's hash: even so nobody gets in
	}
	for _, try := range []struct {
		what, name, password string
		want                 error
	}{
		{"right", "ada", right, nil},
		{"wrong password", "ada", "correct house", ErrBadCredentials},
		{"unknown name", "bob", right, ErrBadCredentials},
		{"unknown name whose password fits the dummy", "bob", "some password", ErrBadCredentials},
		{"no name", "", right, ErrBadCredentials},
		{"disabled", "eve", right, ErrBadCredentials},
		{"short password", "ada", "x", ErrBadCredentials},
		{"short password of an unknown name", "bob", "x", ErrBadCredentials},
		{"no password", "ada", "", ErrBadCredentials},
		{"long password", "ada", strings.Repeat("x", 2000), ErrBadCredentials},
		{"long password of an unknown name", "bob", strings.Repeat("x", 2000), ErrBadCredentials},
		{"no UTF-8", "bob", "\xff\xff\xff\xff\xff\xff\xff\xff", ErrBadCredentials},
	} {
		derived, salts = 0, 0
		if _, err := s.Login(t.Context(), try.name, try.password, Device{}); !errors.Is(err, try.want) {
			t.Errorf("%s: got %v, want %v", try.what, err, try.want)
		}
		if derived != 1 || salts != argonSalt {
			t.Errorf("%s: %d derivations with %d bytes of salt, want 1", try.what, derived, salts)
		}
	}
}
