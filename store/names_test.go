package store

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/auth"
)

// Users from before the column, and those that the previous version adds while we run, have no skeleton.
func TestNamesWithoutSkeletonsAreCheckedToo(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s := p.open(t, Config{})
		add := func(name string) {
			t.Helper()
			err := s.log.do(t.Context(), func(t *tx) error {
				_, err := t.exec(`INSERT INTO users (name, password, created_at) VALUES (?, 'hash', 0)`, name)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		add("coco")
		add("сосо") // these looked alike already
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = p.open(t, Config{})
		var left int
		if err := s.queryRow(t.Context(), `SELECT count(*) FROM users WHERE skeleton IS NULL`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d users without a skeleton after opening, %v", left, err)
		}
		add("ann1")
		for name, want := range map[string]error{"cосо": auth.ErrLooksTaken, "annl": auth.ErrLooksTaken, "сосо": auth.ErrNameTaken, "ann1": auth.ErrNameTaken} {
			if _, _, err := s.CreateUser(t.Context(), name, "hash", nil); err != want {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
		if _, _, err := s.CreateUser(t.Context(), "grace", "hash", nil); err != nil {
			t.Error(err)
		}
	})
}

// If an account were created without the requested session, a retry would get username_taken.
func TestUserAndFirstSessionAreOneTransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s, _, _ := world(t, p, nil)
		taken := auth.Session{Seed: []byte("s"), Token: []byte("one of its kind")}
		bob, session, err := s.CreateUser(t.Context(), "bob", "hash", &taken)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := s.Session(t.Context(), session); err != nil || n.User != bob.ID {
			t.Errorf("first session = %+v, %v", n, err)
		}
		if _, _, err := s.CreateUser(t.Context(), "eve", "hash", &taken); err == nil {
			t.Error("invalid session: got no error")
		}
		if _, err := s.UserByName(t.Context(), "eve"); !errors.Is(err, auth.ErrNoUser) {
			t.Errorf("UserByName(eve): got %v, want auth.ErrNoUser", err)
		}
	})
}

func TestFailedSweepIsLogged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var log bytes.Buffer
	p := place{Dir: t.TempDir()}
	s := p.open(t, Config{sweepEvery: 10 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), nil))})
	if err := s.log.do(context.Background(), func(t *tx) error { _, err := t.exec(`DROP TABLE tickets`); return err }); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		text := log.String()
		mu.Unlock()
		if strings.Contains(text, "level=ERROR") && strings.Contains(text, "tickets") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("log = %q", text)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
