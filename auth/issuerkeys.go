package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"golang.org/x/time/rate"
)

const (
	// fetchEvery is how often an issuer's keys are read anew; a key that it withdraws counts as long at most.
	fetchEvery = 5 * time.Minute
	// retryFirst is the wait after a failed fetch; it doubles up to fetchEvery.
	retryFirst = time.Second
	// fetchTimeout bounds one fetch, and how long a token of an unknown key waits for it.
	fetchTimeout = 5 * time.Second
	// maxJWKS bounds the answer in bytes. The big issuers' sets have 2 to 10 KiB.
	maxJWKS = 256 << 10
)

// IssuerKeys are the public keys of an outside issuer, as its JWKS URL has them. Run keeps them fresh; until it has
// first succeeded every token gets ErrNoIssuerKeys.
type IssuerKeys struct {
	store  issuerStore
	url    string
	client *http.Client
	logger *slog.Logger
	limit  *rate.Limiter // of fetches that tokens ask for: anybody can send one with a kid of their own
	wake   chan struct{}

	mu      sync.Mutex
	fetched bool
	asked   bool          // a token waits for the next fetch
	round   chan struct{} // closed when the next fetch ends
	version int64         // counts the changes, so that what was verified by a key that is gone is forgotten
	last    []byte        // the keys, to see a change
}

// issuerStore holds the keys that count; jwkset fills it and keyfunc reads it.
type issuerStore struct {
	*jwkset.MemoryJWKSet
	keys *IssuerKeys
}

// NewIssuerKeys returns an error for a URL that is neither https nor of this machine: whoever can change the answer
// on its way can be anybody.
func NewIssuerKeys(jwksURL string, logger *slog.Logger) (*IssuerKeys, error) {
	u, err := url.Parse(jwksURL)
	if err != nil || u.Host == "" {
		return nil, errors.New("the JWKS URL is no URL")
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	if here := host == "localhost" || ip != nil && ip.IsLoopback(); u.Scheme != "https" && (u.Scheme != "http" || !here) {
		return nil, fmt.Errorf("the JWKS URL %s must be https (http is for localhost alone)", u.Redacted())
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	k := &IssuerKeys{
		url: jwksURL,
		client: &http.Client{
			Transport: bounded{transport},
			Timeout:   fetchTimeout,
			// A redirect could lead to where the rule above would not have let it.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		logger: logger,
		limit:  rate.NewLimiter(rate.Every(30*time.Second), 5),
		wake:   make(chan struct{}, 1),
		round:  make(chan struct{}),
	}
	k.store = issuerStore{jwkset.NewMemoryStorage(), k}
	return k, nil
}

// Run reads the keys at once, every 5 minutes, when a token of an unknown key asks for it, and after a failure sooner.
// It returns when ctx ends.
func (k *IssuerKeys) Run(ctx context.Context) {
	defer k.client.CloseIdleConnections()
	wait := retryFirst
	for {
		err := k.fetch(ctx)
		next := fetchEvery
		if err != nil && ctx.Err() == nil {
			next, wait = wait, min(2*wait, fetchEvery)
			k.logger.Warn("the issuer's keys cannot be read; those read before go on to count", "error", err, "again_in", next)
		} else {
			wait = retryFirst
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-k.wake:
			timer.Stop()
		}
	}
}

// fetch reads the keys once. Without a RefreshInterval jwkset starts no goroutine of its own, which nobody could
// wait for.
func (k *IssuerKeys) fetch(ctx context.Context) error {
	// Whoever asks from now on waits for the next round: this one may bring keys from before they asked.
	k.mu.Lock()
	round := k.round
	k.round = make(chan struct{})
	k.asked = false
	k.mu.Unlock()
	defer close(round)
	_, err := jwkset.NewStorageFromHTTP(k.url, jwkset.HTTPClientStorageOptions{
		Client: k.client, Ctx: ctx, HTTPTimeout: fetchTimeout, Storage: k.store,
	})
	return err
}

// KeyReplaceAll implements jwkset.Storage: fetch calls it with all that the issuer has. A key that is gone from there
// no longer counts, and of the others those alone that can verify a signature and nothing else.
func (s issuerStore) KeyReplaceAll(ctx context.Context, all []jwkset.JWK) error {
	k := s.keys
	all = slices.DeleteFunc(all, func(j jwkset.JWK) bool { return !usable(j) })
	if len(all) == 0 {
		k.logger.Warn("the issuer has no key that can verify tokens")
	}
	marshalled := make([]jwkset.JWKMarshal, 0, len(all))
	for _, j := range all {
		marshalled = append(marshalled, j.Marshal())
	}
	text, err := json.Marshal(marshalled)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fetched = true
	if string(text) != string(k.last) {
		k.last = text
		k.version++
	}
	return s.MemoryJWKSet.KeyReplaceAll(ctx, all)
}

// usable leaves out what has no id, is not for signatures, is secret (a private key that is public signs for
// everybody), or is weak.
func usable(j jwkset.JWK) bool {
	m := j.Marshal()
	if m.KID == "" || m.USE != "" && m.USE != jwkset.UseSig {
		return false
	}
	switch p := j.Key().(type) {
	case *rsa.PublicKey:
		return p.N.BitLen() >= minRSA
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// KeyRead implements jwkset.Storage. For a key that is not known it waits for the issuer's present keys, now and
// then: an issuer may sign with a new key from one moment to the next.
func (s issuerStore) KeyRead(ctx context.Context, id string) (jwkset.JWK, error) {
	j, err := s.MemoryJWKSet.KeyRead(ctx, id)
	if err == nil {
		return j, nil
	}
	s.keys.ask(ctx)
	if j, err = s.MemoryJWKSet.KeyRead(ctx, id); err == nil {
		return j, nil
	}
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	if !s.keys.fetched {
		return jwkset.JWK{}, ErrNoIssuerKeys
	}
	return jwkset.JWK{}, err
}

// ask makes Run fetch the keys and waits until it has, or returns at once where that was done often of late.
func (k *IssuerKeys) ask(ctx context.Context) {
	k.mu.Lock()
	if !k.asked && !k.limit.Allow() {
		k.mu.Unlock()
		return
	}
	k.asked = true
	round := k.round
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default: // it is on its way
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	select {
	case <-round:
	case <-ctx.Done():
	}
}

func (k *IssuerKeys) currentVersion() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.version
}

// bounded cuts answers off after maxJWKS bytes; half a JSON text is an error to its reader.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxJWKS), answer.Body}
	}
	return answer, err
}
