package auth

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
)

// jwksServer answers each fetch when the test allows it, with the keys as of the fetch's start.
type jwksServer struct {
	mu    sync.Mutex
	keys  []jwk
	begun chan struct{} // one for each started fetch
	end   chan struct{} // lets one finish
}

func (s *jwksServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	text, _ := json.Marshal(map[string]any{"keys": s.keys})
	s.mu.Unlock()
	select {
	case s.begun <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	select {
	case <-s.end:
	case <-r.Context().Done():
	}
	_, _ = w.Write(text)
}

func (s *jwksServer) publish(t *testing.T, id string) {
	t.Helper()
	k, err := newJWK(ed25519Key(t).Public().(ed25519.PublicKey), "EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	k.ID = id
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, k)
}

// answer lets the next fetch start and finish.
func (s *jwksServer) answer() { <-s.begun; s.end <- struct{}{} }

func runIssuerKeys(t *testing.T) (*IssuerKeys, *jwksServer) {
	t.Helper()
	s := &jwksServer{begun: make(chan struct{}), end: make(chan struct{})}
	server := httptest.NewServer(s)
	k, err := NewIssuerKeys(server.URL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; server.Close() })
	return k, s
}

// A running fetch may have started before the issuer had its new key: its answer does not count.
func TestKeyNewerThanTheRunningFetch(t *testing.T) {
	k, s := runIssuerKeys(t)
	<-s.begun // with no keys
	s.publish(t, "new")
	found := make(chan error)
	go func() { _, err := k.store.KeyRead(context.Background(), "new"); found <- err }()
	<-time.After(20 * time.Millisecond) // lets it wait; without this the test passes but shows less
	s.end <- struct{}{}
	s.answer()
	if err := <-found; err != nil {
		t.Error(err)
	}
}

// Many tokens with a new key at once cause one fetch, and leave the allowance for the next new key.
func TestConcurrentTokensWithANewKeyCauseOneFetch(t *testing.T) {
	k, s := runIssuerKeys(t)
	_, _, first := k.progress()
	s.answer()
	<-first
	s.publish(t, "new")
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if _, err := k.store.KeyRead(context.Background(), "new"); err != nil {
				t.Error(err)
			}
		})
	}
	s.answer()
	all.Wait()
	if begun, _, _ := k.progress(); begun != 2 {
		t.Errorf("%d fetches, want 2", begun)
	}
	if left := k.limit.Tokens(); left < 2 {
		t.Errorf("only %.1f fetches left", left)
	}
}

// Anybody can make up kids: they cost the issuer a few fetches, and then are refused at once.
func TestUnknownKeysCauseFewFetches(t *testing.T) {
	k, s := runIssuerKeys(t)
	_, _, first := k.progress()
	s.answer()
	<-first
	for i := range 50 {
		if i < 3 {
			go s.answer()
		}
		if _, err := k.store.KeyRead(t.Context(), "made up"); !errors.Is(err, jwkset.ErrKeyNotFound) {
			t.Fatal(err)
		}
	}
	if begun, _, _ := k.progress(); begun != 4 {
		t.Errorf("%d fetches, want 4", begun)
	}
}
