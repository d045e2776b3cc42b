package auth

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tandem/panics"
)

// shakyTransport panics at the first request and fails the others.
type shakyTransport struct{ asked atomic.Int64 }

func (s *shakyTransport) RoundTrip(*http.Request) (*http.Response, error) {
	if s.asked.Add(1) == 1 {
		panic("asking the issuer")
	}
	return nil, http.ErrHandlerTimeout
}

// A fetch that panics counts as failed: waiting callers get the error, and it is tried again.
func TestPanicInFetchingTheIssuersKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, err := NewIssuerKeys("https://issuer.example/keys", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		transport := &shakyTransport{}
		k.client.Transport = transport
		ctx, cancel := context.WithCancel(t.Context())
		before := panics.Total()
		ended := make(chan struct{})
		go func() { defer close(ended); k.Run(ctx) }()
		time.Sleep(10 * time.Second)
		if panics.Total() == before || transport.asked.Load() < 3 {
			t.Errorf("asked %d times after %d panics, want to go on", transport.asked.Load(), panics.Total()-before)
		}
		if _, err := k.store.KeyRead(ctx, "unknown"); err == nil {
			t.Error("found a key that was never fetched")
		}
		cancel()
		<-ended
	})
}
