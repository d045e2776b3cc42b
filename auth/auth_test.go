package auth

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// memory is a Store in memory; the real one is tested over HTTP in e2e.
type memory struct {
	Store
	mu      sync.Mutex
	session Session
	ended   bool
}

func (m *memory) UserByID(context.Context, int64) (User, error) { return User{ID: 1, Name: "ada"}, nil }

func (m *memory) CreateSession(_ context.Context, s Session) (int64, error) {
	s.ID = 1
	if s.User == 0 {
		s.User = 1
	}
	m.session = s
	return 1, nil
}

func (m *memory) Session(_ context.Context, id int64) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id != 1 || m.ended {
		return Session{}, ErrNoSession
	}
	return m.session, nil
}

func (m *memory) Rotate(_ context.Context, s Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session.Generation == s.Generation-1 {
		m.session = s
	}
	return nil
}

func (m *memory) EndSession(context.Context, int64) error { m.ended = true; return nil }

// clock is a time that the test sets.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

var secret = []byte("0123456789abcdef0123456789abcdef")

func newService(t *testing.T) (*Service, *memory, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)}
	m := &memory{}
	s, err := New(m, Config{Secret: secret, Issuer: "tandem", Audience: "tandem", Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return s, m, c
}

func TestSpentRefreshTokenGetsTheSameAnswerForTenSeconds(t *testing.T) {
	s, m, c := newService(t)
	ctx := t.Context()
	first, err := s.begin(ctx, User{ID: 1, Name: "ada"}, s.newSession(Device{}))
	if err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(time.Hour)
	second, err := s.Refresh(ctx, first.RefreshToken, Device{})
	if err != nil || second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Fatalf("Refresh = %+v, %v", second, err)
	}
	c.t = c.t.Add(9900 * time.Millisecond)
	if again, err := s.Refresh(ctx, first.RefreshToken, Device{}); err != nil || again != second {
		t.Errorf("again within the grace: %+v, %v; want %+v", again, err, second)
	}
	if _, err := s.Refresh(ctx, second.RefreshToken, Device{}); err != nil {
		t.Errorf("refresh with the next token: %v", err)
	}
	if m.ended {
		t.Fatal("session ended, want it alive")
	}
	// Two generations old and spent 9.9 s ago, it still gets the same answer.
	if again, err := s.Refresh(ctx, first.RefreshToken, Device{}); err != nil || again != second {
		t.Errorf("two generations old it gets %+v, %v; want %+v", again, err, second)
	}
	// The grace starts when the token is spent, and nothing extends it. Anybody who presents it later has a copy.
	c.t = c.t.Add(200 * time.Millisecond)
	if again, err := s.Refresh(ctx, second.RefreshToken, Device{}); err != nil || m.ended {
		t.Errorf("second token, spent 0.2 s ago: got %+v, %v", again, err)
	}
	if _, err := s.Refresh(ctx, first.RefreshToken, Device{}); !errors.Is(err, ErrRefreshReused) || !m.ended {
		t.Errorf("token spent 10.1 s ago: got %v, session ended = %v", err, m.ended)
	}
}

func TestSpentRefreshTokenEndsTheSessionAfterTheGrace(t *testing.T) {
	s, m, c := newService(t)
	first, _ := s.begin(t.Context(), User{ID: 1, Name: "ada"}, s.newSession(Device{}))
	second, err := s.Refresh(t.Context(), first.RefreshToken, Device{})
	if err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(10*time.Second + time.Millisecond)
	if _, err := s.Refresh(t.Context(), first.RefreshToken, Device{}); !errors.Is(err, ErrRefreshReused) || !m.ended {
		t.Errorf("got %v, session ended = %v", err, m.ended)
	}
	if _, err := s.Refresh(t.Context(), second.RefreshToken, Device{}); !errors.Is(err, ErrInvalidRefresh) {
		t.Errorf("newer token after the reuse: got %v, want ErrInvalidRefresh", err)
	}
}

func TestManyTabsRefreshingAtOnceGetOneAnswer(t *testing.T) {
	s, _, _ := newService(t)
	first, _ := s.begin(t.Context(), User{ID: 1, Name: "ada"}, s.newSession(Device{}))
	answers := make(chan Grant, 20)
	var wg sync.WaitGroup
	for range cap(answers) {
		wg.Go(func() {
			g, err := s.Refresh(context.Background(), first.RefreshToken, Device{})
			if err != nil {
				t.Error(err)
			}
			answers <- g
		})
	}
	wg.Wait()
	one := <-answers
	for range cap(answers) - 1 {
		if g := <-answers; g != one {
			t.Errorf("two concurrent refreshes returned %+v and %+v", g, one)
		}
	}
}

// The cache of sessions lasts as long as the process; the cookie lasts as long as the session.
func TestCookieLastsAsLongAsItsSessionIsRefreshed(t *testing.T) {
	s, _, c := newService(t)
	ctx := t.Context()
	begun, err := s.begin(ctx, User{ID: 1, Name: "ada"}, s.newSession(Device{}))
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Verify(ctx, begun.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, err := s.Cookie(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(SessionLife - 24*time.Hour)
	if _, err := s.Refresh(ctx, begun.RefreshToken, Device{}); err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(48 * time.Hour)
	if got, err := s.VerifyCookie(ctx, cookie); err != nil || got.User != 1 {
		t.Errorf("cookie of a refreshed session: %+v, %v", got, err)
	}
	c.t = c.t.Add(SessionLife)
	if _, err := s.VerifyCookie(ctx, cookie); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("cookie of a session that was not refreshed: got %v, want ErrInvalidToken", err)
	}
}

func TestForgedRefreshTokensAreInvalidAndHarmless(t *testing.T) {
	s, m, c := newService(t)
	first, _ := s.begin(t.Context(), User{ID: 1, Name: "ada"}, s.newSession(Device{}))
	next, err := s.Refresh(t.Context(), first.RefreshToken, Device{})
	if err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(time.Minute)
	mac := first.RefreshToken[strings.LastIndex(first.RefreshToken, "."):]
	for _, forged := range []string{"", "x", "1.0", "1.0.", "1.1" + mac, "1.7" + mac, "2.0" + mac, "1.-1" + mac, first.RefreshToken + "x", "01.0" + mac} {
		if _, err := s.Refresh(t.Context(), forged, Device{}); !errors.Is(err, ErrInvalidRefresh) {
			t.Errorf("%q: got %v, want ErrInvalidRefresh", forged, err)
		}
	}
	if m.ended {
		t.Error("forged token ended the session")
	}
	c.t = c.t.Add(SessionLife)
	if _, err := s.Refresh(t.Context(), next.RefreshToken, Device{}); !errors.Is(err, ErrInvalidRefresh) {
		t.Errorf("after the end of the session: got %v, want ErrInvalidRefresh", err)
	}
}

func TestAccessTokens(t *testing.T) {
	s, _, c := newService(t)
	g, err := s.begin(t.Context(), User{ID: 7, Name: "ada"}, s.newSession(Device{}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second comes from the cache
		id, err := s.Verify(t.Context(), g.AccessToken)
		if err != nil || id.User != 7 || id.Name != "ada" || id.Session != 1 || !id.Expires.Equal(c.t.Add(AccessLife)) {
			t.Errorf("Verify = %+v, %v", id, err)
		}
	}
	c.t = c.t.Add(AccessLife + leeway - time.Second)
	if _, err := s.Verify(t.Context(), g.AccessToken); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
	c.t = c.t.Add(2 * time.Second)
	if _, err := s.Verify(t.Context(), g.AccessToken); !errors.Is(err, ErrTokenExpired) {
		t.Errorf("after it, cached: got %v, want ErrTokenExpired", err)
	}
	s.tokens.verified.Purge()
	if _, err := s.Verify(t.Context(), g.AccessToken); !errors.Is(err, ErrTokenExpired) {
		t.Errorf("after it, uncached: got %v, want ErrTokenExpired", err)
	}
}

func TestInvalidTokens(t *testing.T) {
	s, _, c := newService(t)
	if _, err := s.begin(t.Context(), User{ID: 7}, s.newSession(Device{})); err != nil {
		t.Fatal(err)
	}
	good := func() jwt.MapClaims {
		return jwt.MapClaims{"iss": "tandem", "aud": "tandem", "sub": "7", "name": "ada", "sid": 1, "iat": c.t.Unix(), "exp": c.t.Add(time.Minute).Unix()}
	}
	sign := func(m jwt.SigningMethod, key any, change func(jwt.MapClaims)) string {
		claims := good()
		change(claims)
		text, err := jwt.NewWithClaims(m, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	same := func(jwt.MapClaims) {}
	if _, err := s.Verify(t.Context(), sign(jwt.SigningMethodHS256, secret, same)); err != nil {
		t.Fatalf("valid token: %v", err)
	}
	without := func(name string) func(jwt.MapClaims) { return func(c jwt.MapClaims) { delete(c, name) } }
	with := func(name string, v any) func(jwt.MapClaims) { return func(c jwt.MapClaims) { c[name] = v } }
	for name, token := range map[string]string{
		"none":            sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, same),
		"HS512":           sign(jwt.SigningMethodHS512, secret, same),
		"HS384":           sign(jwt.SigningMethodHS384, secret, same),
		"another secret":  sign(jwt.SigningMethodHS256, []byte("another secret of 32 bytes......"), same),
		"no exp":          sign(jwt.SigningMethodHS256, secret, without("exp")),
		"no iss":          sign(jwt.SigningMethodHS256, secret, without("iss")),
		"no aud":          sign(jwt.SigningMethodHS256, secret, without("aud")),
		"no sub":          sign(jwt.SigningMethodHS256, secret, without("sub")),
		"no sid":          sign(jwt.SigningMethodHS256, secret, without("sid")),
		"another issuer":  sign(jwt.SigningMethodHS256, secret, with("iss", "other")),
		"other audience":  sign(jwt.SigningMethodHS256, secret, with("aud", "other")),
		"another's":       sign(jwt.SigningMethodHS256, secret, with("sub", "8")),
		"no such session": sign(jwt.SigningMethodHS256, secret, with("sid", 2)),
		"sub no number":   sign(jwt.SigningMethodHS256, secret, with("sub", "ada")),
		"not yet":         sign(jwt.SigningMethodHS256, secret, with("nbf", c.t.Add(time.Hour).Unix())),
		"empty":           "",
		"words":           "not a token",
		"cut":             sign(jwt.SigningMethodHS256, secret, same)[:100],
		"trailing":        sign(jwt.SigningMethodHS256, secret, same) + "x",
		"a refresh token": s.refreshToken(Session{ID: 1}, 0),
	} {
		if _, err := s.Verify(t.Context(), token); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("%s: got %v, want ErrInvalidToken", name, err)
		}
	}
}

func TestShortSecretIsRefused(t *testing.T) {
	if _, err := New(&memory{}, Config{Secret: secret[:31], Now: time.Now}); err == nil {
		t.Error("secret of 31 bytes accepted")
	}
}

func TestPasswords(t *testing.T) {
	p := newPasswords(nil, 0, nil)
	hash, err := p.hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("hash: got %q, %v, want argon2id with the default parameters", hash, err)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false, "": false} {
		if ok, err := p.match(t.Context(), password, hash); err != nil || ok != want {
			t.Errorf("match(%q): got %t, %v, want %t", password, ok, err, want)
		}
	}
	if _, err := p.match(t.Context(), "x", "$2y$10$bcrypt"); err == nil {
		t.Error("unknown hash format accepted")
	}
	for password, ok := range map[string]bool{
		"1234567": false, "12345678": true, "пароль12": true, strings.Repeat("x", 1024): true, strings.Repeat("x", 1025): false,
		"nul\x00inside": false, "tab\tinside": false, "bad\xffutf8": false,
	} {
		if _, err := preparePassword(password); (err == nil) != ok {
			t.Errorf("preparePassword(%.20q): got %v, want ok %t", password, err, ok)
		}
	}
	// A login whose turn would come too late is refused at once.
	p.took.Store(int64(MaxWait / 10))
	p.waiting.Store(int64(11 * cap(p.hashers)))
	if _, err := p.hash(t.Context(), "correct horse"); !errors.Is(err, ErrBusy) {
		t.Errorf("at the end of a long queue: got %v, want ErrBusy", err)
	}
	if n := p.waiting.Swap(0); n != int64(11*cap(p.hashers)) {
		t.Errorf("%d waiting after that", n)
	}
	// A waiting login ends when its caller gives up, so that logins do not pile up.
	for range cap(p.hashers) {
		h := <-p.hashers
		defer func() { p.hashers <- h }()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := p.hash(ctx, "correct horse"); !errors.Is(err, ErrBusy) {
		t.Errorf("cancelled while queued: got %v, want ErrBusy", err)
	}
}

// A stored hash records its memory cost and is verified with it. A cost above ours is not trusted.
func TestStoredPasswordsRecordTheirCost(t *testing.T) {
	cheap, dear := newPasswords(nil, 0, nil), newPasswords(nil, 0, nil)
	cheap.hashWith(64)
	hash, err := cheap.hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=2,p=1$") {
		t.Fatalf("hash with 64 KiB: got %q, %v, want m=64", hash, err)
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horsf": false} {
		if ok, err := dear.match(t.Context(), password, hash); err != nil || ok != want {
			t.Errorf("%q matches: %v, %v", password, ok, err)
		}
	}
	for _, m := range []string{"19457", "4294967296", "7", "-64", "", "64,m=64"} {
		if _, err := dear.match(t.Context(), "correct horse", strings.Replace(hash, "m=64", "m="+m, 1)); err == nil {
			t.Errorf("hash with m=%s accepted", m)
		}
	}
}

// If no process can be started, users can still log in.
func TestPasswordsAreHashedInProcessWithoutAHelper(t *testing.T) {
	for _, command := range [][]string{{"/nonexistent"}, {"/bin/false"}, {"/bin/echo", "too short"}} {
		var log bytes.Buffer
		p := newPasswords(command, hashWait, slog.New(slog.NewTextHandler(&log, nil)))
		hash, err := p.hash(t.Context(), "correct horse")
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := newPasswords(nil, 0, nil).match(t.Context(), "correct horse", hash); err != nil || !ok {
			t.Errorf("match of a hash made without %v: got %t, %v, want true, nil", command, ok, err)
		}
		if !strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "horse") {
			t.Errorf("%v: log = %s", command, &log)
		}
		p.close()
	}
}

// On a busy machine the process is late. The next passwords do not wait for another one.
func TestPasswordsAreHashedInProcessAfterALateHelper(t *testing.T) {
	command := []string{"sleep", "600"}
	h := &hasher{command: command, wait: 50 * time.Millisecond, logger: slog.New(slog.DiscardHandler)}
	salt := []byte("sixteen bytes...")
	want := argon2id(argonMemory, []byte("correct horse"), salt)
	if got := h.key(argonMemory, []byte("correct horse"), salt); !bytes.Equal(got, want) {
		t.Errorf("key with a late process: got %x, want %x", got, want)
	}
	h.wait = time.Hour
	if got := h.key(argonMemory, []byte("correct horse"), salt); !bytes.Equal(got, want) || h.cmd != nil {
		t.Errorf("the next key: got %x from process %v, want %x from this one", got, h.cmd, want)
	}
	h.command, h.paused = []string{"/bin/false"}, time.Now()
	if _ = h.key(argonMemory, []byte("correct horse"), salt); !h.paused.Before(time.Now()) {
		t.Error("a process that fails: got a pause, want another one at the next password")
	}
}

func TestHashPasswordsUntilTheEnd(t *testing.T) {
	var in []byte
	var want bytes.Buffer
	for _, password := range []string{"", "correct horse", strings.Repeat("x", 1024)} {
		salt := []byte("sixteen bytes, " + password)[:min(15, argonSalt)]
		in = appendText(appendText(in, []byte(password)), salt)
		want.Write(argon2id(argonMemory, []byte(password), salt))
	}
	var got bytes.Buffer
	if err := HashPasswords(bytes.NewReader(in), &got); err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("HashPasswords: got %x, %v, want %x", got.Bytes(), err, want.Bytes())
	}
	if err := HashPasswords(bytes.NewReader(in[:len(in)-1]), io.Discard); err == nil {
		t.Error("half a salt: got no error")
	}
}
