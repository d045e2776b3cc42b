package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"
)

// OWASP's least for argon2id: 19 MiB, two passes, one lane.
const (
	argonMemory = 19 * 1024 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonKey    = 32 // bytes
	argonSalt   = 16 // bytes
)

// passwords hashes passwords, few at a time: each takes 19 MiB and a core for tens of milliseconds, and the
// chat must not feel a thousand logins.
type passwords struct {
	hashers chan *hasher                                  // those that are free; who waits for one is served in turn
	waiting atomic.Int64                                  // those who wait, and those who are served
	took    atomic.Int64                                  // a moving average of how many nanoseconds a key takes
	dummy   string                                        // a hash that nothing matches, checked for unknown names so that they take as long
	key     func(h *hasher, password, salt []byte) []byte // argon2id; a test counts the calls
}

// MaxWait is how long a login waits for its turn before it is refused as ErrBusy; where it would wait longer, it is at once.
const MaxWait = 10 * time.Second

// newPasswords hashes in processes of command, or within this one where it is empty.
func newPasswords(command []string, logger *slog.Logger) *passwords {
	// Not all cores: a key uses the memory's bandwidth and the cache as well.
	n := max(1, runtime.GOMAXPROCS(0)/2)
	p := &passwords{hashers: make(chan *hasher, n), key: (*hasher).key}
	for range n {
		p.hashers <- &hasher{command: command, logger: logger}
	}
	p.dummy = phc(make([]byte, argonSalt), make([]byte, argonKey))
	return p
}

// close ends the processes, when those who are served are.
func (p *passwords) close() {
	for range cap(p.hashers) {
		(<-p.hashers).stop()
	}
}

// CheckPassword returns ErrBadPassword for what cannot be a password.
func CheckPassword(s string) error {
	_, err := preparePassword(s)
	return err
}

// preparePassword applies PRECIS OpaqueString (RFC 8265 §4.2) and the bounds on length.
func preparePassword(s string) (string, error) {
	if len(s) > 1024 || !utf8.ValidString(s) {
		return "", ErrBadPassword
	}
	p, err := precis.OpaqueString.String(s)
	if err != nil || utf8.RuneCountInString(p) < 8 || len(p) > 1024 {
		return "", ErrBadPassword
	}
	return p, nil
}

func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	key, err := p.derive(ctx, password, salt)
	if err != nil {
		return "", err
	}
	return phc(salt, key), nil
}

// match takes as long for a wrong password as for a right one.
func (p *passwords) match(ctx context.Context, password, stored string) (bool, error) {
	salt, want, err := parsePHC(stored)
	if err != nil {
		return false, err
	}
	key, err := p.derive(ctx, password, salt)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, want) == 1, nil
}

func (p *passwords) derive(ctx context.Context, password string, salt []byte) ([]byte, error) {
	before := p.waiting.Add(1) - 1
	defer p.waiting.Add(-1)
	if before/int64(cap(p.hashers))*p.took.Load() > int64(MaxWait) {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, MaxWait)
	defer cancel()
	select {
	case h := <-p.hashers:
		defer func() { p.hashers <- h }()
		began := time.Now()
		key := p.key(h, []byte(password), salt)
		took := p.took.Load()
		p.took.Store(took + (int64(time.Since(began))-took)/16) // two at once: one of them does not count
		return key, nil
	case <-ctx.Done():
		return nil, ErrBusy
	}
}

func argon2id(password, salt []byte) []byte {
	return argon2.IDKey(password, salt, argonTime, argonMemory, argonLanes, argonKey)
}

// phc is the PHC string format, which says how it was made.
func phc(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// parsePHC reads what phc writes. Other parameters come with the first change of ours.
func parsePHC(s string) (salt, key []byte, err error) {
	prefix := fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, argonMemory, argonTime, argonLanes)
	rest, ok := strings.CutPrefix(s, prefix)
	saltText, keyText, two := strings.Cut(rest, "$")
	if !ok || !two {
		return nil, nil, errors.New("a stored password is no argon2id hash with the parameters in use")
	}
	if salt, err = base64.RawStdEncoding.DecodeString(saltText); err != nil {
		return nil, nil, err
	}
	key, err = base64.RawStdEncoding.DecodeString(keyText)
	return salt, key, err
}
