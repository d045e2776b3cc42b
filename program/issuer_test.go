package program

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// issuer is somebody else's service that signs people in and publishes its keys.
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
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.keys}) // the reader may be gone
}

func withIssuer(url string) func(*Settings) {
	return func(cfg *Settings) {
		cfg.JWKSURL, cfg.JWTIssuer, cfg.JWTAudience = url, outsideIssuer, outsideAudience
	}
}

// newIssuerKey is a key with a kid of the issuer's choice.
func newIssuerKey(t *testing.T, alg, kid string) *signingKey {
	t.Helper()
	k := newSigningKey(t, alg)
	k.kid = kid
	return k
}

// outsider is the claims of a token of the issuer's.
func outsider(subject any, name string) claims {
	c := claims{"iss": outsideIssuer, "aud": outsideAudience, "sub": subject, "exp": time.Now().Add(5 * time.Minute).Unix()}
	if name != "" {
		c["preferred_username"] = name
	}
	return c
}

// bearer is a client with an access token of the issuer's.
func (s *testServer) bearer(t *testing.T, token string) *client {
	t.Helper()
	c := s.visitor(t).withToken(token)
	return c
}

// name is whom the server takes the client for.
func (c *client) name() string {
	c.t.Helper()
	var me struct{ Username string }
	c.do("GET", "/v1/me", nil).want(200).into(&me)
	return me.Username
}
