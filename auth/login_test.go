package auth

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// accounts is a Store of some users, with the sessions of memory.
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

// Deriving a key takes tens of milliseconds and all else next to nothing, so the number of derivations is what can be
// told from outside: one for each login, whether or not the name exists and whatever is wrong.
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
	s.passwords.key = func(_ *hasher, password, salt []byte) []byte {
		derived++
		salts += len(salt)
		if string(password) == right { // as it was hashed; a real derivation is not what is tried here
			_, key, _ := parsePHC(hash)
			return bytes.Clone(key)
		}
		return make([]byte, argonKey) // what the dummy has: even then nobody gets in
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
		if _, err := s.Login(t.Context(), try.name, try.password); !errors.Is(err, try.want) {
			t.Errorf("%s: %v", try.what, err)
		}
		if derived != 1 || salts != argonSalt {
			t.Errorf("%s: %d derivations with %d bytes of salt", try.what, derived, salts)
		}
	}
}
