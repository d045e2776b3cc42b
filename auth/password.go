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
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"
)

// OWASP's minimum for argon2id: 19 MiB, two passes, one lane.
const (
	argonMemory = 19 * 1024 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonKey    = 32 // bytes
	argonSalt   = 16 // bytes
)

// passwords hashes passwords, a few at a time: each takes 19 MiB and a core for tens of milliseconds, and the chat must
// not notice a thousand logins.
type passwords struct {
	hashers chan *hasher                                                 // the free ones; waiting callers are served in turn
	waiting atomic.Int64                                                 // callers that wait or are being served
	took    atomic.Int64                                                 // moving average of the nanoseconds per key
	dummy   string                                                       // a hash that nothing matches, checked for unknown names so that they take as long
	key     func(h *hasher, memory uint32, password, salt []byte) []byte // argon2id; a test counts the calls
	memory  uint32                                                       // KiB, of new hashes
}

// MaxWait is how long a login waits for its turn before ErrBusy; if it would wait longer, it fails at once.
const MaxWait = 10 * time.Second

// newPasswords hashes in processes of command, which may take that long for one hash, or in this one if command is empty.
func newPasswords(command []string, wait time.Duration, logger *slog.Logger) *passwords {
	// Not all cores: a key also uses memory bandwidth and cache.
	n := max(1, runtime.GOMAXPROCS(0)/2)
	p := &passwords{hashers: make(chan *hasher, n), key: (*hasher).key, memory: argonMemory}
	for range n {
		p.hashers <- &hasher{command: command, wait: wait, logger: logger}
	}
	p.hashWith(argonMemory)
	return p
}

// hashWith sets the memory, in KiB, of new hashes and of the dummy. Stored hashes record their own parameters.
func (p *passwords) hashWith(memory uint32) {
	p.memory, p.dummy = memory, phc(memory, make([]byte, argonSalt), make([]byte, argonKey))
}

// close ends the processes when the running calls have ended.
func (p *passwords) close() {
	for range cap(p.hashers) {
		(<-p.hashers).stop()
	}
}

// CheckPassword returns ErrBadPassword for an invalid password.
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
	key, err := p.derive(ctx, p.memory, password, salt)
	if err != nil {
		return "", err
	}
	return phc(p.memory, salt, key), nil
}

// match takes as long for a wrong password as for a right one.
func (p *passwords) match(ctx context.Context, password, stored string) (bool, error) {
	memory, salt, want, err := parsePHC(stored)
	if err != nil {
		return false, err
	}
	key, err := p.derive(ctx, memory, password, salt)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, want) == 1, nil
}

func (p *passwords) derive(ctx context.Context, memory uint32, password string, salt []byte) ([]byte, error) {
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
		key := p.key(h, memory, []byte(password), salt)
		took := p.took.Load()
		p.took.Store(took + (int64(time.Since(began))-took)/16) // two at once: one of them is not counted
		return key, nil
	case <-ctx.Done():
		return nil, ErrBusy
	}
}

func argon2id(memory uint32, password, salt []byte) []byte {
	return argon2.IDKey(password, salt, argonTime, memory, argonLanes, argonKey)
}

// phc returns the PHC string format, which includes the parameters.
func phc(memory uint32, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, argonTime, argonLanes,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// parsePHC reads what phc writes. Only the memory may differ from ours, and it may not be more.
func parsePHC(s string) (memory uint32, salt, key []byte, err error) {
	head, rest, ok := strings.Cut(s, fmt.Sprintf(",t=%d,p=%d$", argonTime, argonLanes))
	memoryText, ours := strings.CutPrefix(head, fmt.Sprintf("$argon2id$v=%d$m=", argon2.Version))
	saltText, keyText, two := strings.Cut(rest, "$")
	m, err := strconv.ParseUint(memoryText, 10, 32)
	if !ok || !ours || !two || err != nil || m < 8*argonLanes || m > argonMemory {
		return 0, nil, nil, errors.New("a stored password is not an argon2id hash with our parameters")
	}
	if salt, err = base64.RawStdEncoding.DecodeString(saltText); err != nil {
		return 0, nil, nil, err
	}
	key, err = base64.RawStdEncoding.DecodeString(keyText)
	return uint32(m), salt, key, err
}
