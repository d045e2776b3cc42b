package accounts

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

// issuer is an external identity provider: it signs tokens and publishes its keys.
type issuer struct {
	url string

	mu      sync.Mutex
	keys    []any // of the JWK Set
	answer  func(http.ResponseWriter, *http.Request)
	fetches int
}

const (
	outsideIssuer   = "https://login.example.org/"
	outsideAudience = "chat.example.org"
)

func startIssuer(t *testing.T, keys ...*signingKey) *issuer {
	t.Helper()
	return startIssuerAt(t, "127.0.0.1:0", keys...)
}

func startIssuerAt(t *testing.T, address string, keys ...*signingKey) *issuer {
	t.Helper()
	i := &issuer{}
	i.publish(t, keys...)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: listener, Config: &http.Server{Handler: i}}
	s.Start()
	t.Cleanup(s.Close)
	i.url = s.URL + "/jwks"
	return i
}

func (i *issuer) publish(t *testing.T, keys ...*signingKey) {
	t.Helper()
	var set []any
	for _, k := range keys {
		set = append(set, k.jwk(t))
	}
	i.publishRaw(set...)
}

func (i *issuer) publishRaw(keys ...any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append([]any{}, keys...)
}

func (i *issuer) answers(f func(http.ResponseWriter, *http.Request)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = f
}

func (i *issuer) fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetches++
	if i.answer != nil {
		i.answer(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.keys}) // the client may be gone
}

func withIssuer(url string) func(*program.Settings) {
	return func(cfg *program.Settings) {
		cfg.JWKSURL, cfg.JWTIssuer, cfg.JWTAudience = url, outsideIssuer, outsideAudience
	}
}

// newIssuerKey returns a key with a kid chosen by the issuer.
func newIssuerKey(t *testing.T, alg, kid string) *signingKey {
	t.Helper()
	k := newSigningKey(t, alg)
	k.kid = kid
	return k
}

// outsider returns the claims of an issuer's token.
func outsider(subject any, name string) harness.Claims {
	c := harness.Claims{"iss": outsideIssuer, "aud": outsideAudience, "sub": subject, "exp": time.Now().Add(5 * time.Minute).Unix()}
	if name != "" {
		c["preferred_username"] = name
	}
	return c
}
