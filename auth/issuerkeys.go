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

	"tandem/activity"
	"tandem/panics"
)

const (
	// fetchEvery is how often an issuer's keys are fetched; a withdrawn key is valid that long at most.
	fetchEvery = 5 * time.Minute
	// retryFirst is the wait after a failed fetch; it doubles up to fetchEvery.
	retryFirst = time.Second
	// fetchTimeout bounds one fetch, and how long a token with an unknown key waits for it.
	fetchTimeout = 5 * time.Second
	// maxJWKS bounds the response in bytes. The big issuers' sets have 2 to 10 KiB.
	maxJWKS = 256 << 10
)

// IssuerKeys are an outside issuer's public keys, from its JWKS URL. Run keeps them fresh; until it first succeeds,
// every token gets ErrNoIssuerKeys.
type IssuerKeys struct {
	Gate *activity.Gate // open while they are needed; nil is always

	store  issuerStore
	url    string
	client *http.Client
	logger *slog.Logger
	limit  *rate.Limiter // of fetches triggered by tokens: anyone can send one with a made-up kid
	wake   chan struct{}

	mu      sync.Mutex
	latest  time.Time     // when the latest fetch began
	begun   int           // fetches started; the keys of one may be as old as its start
	ended   int           // fetches ended; one less than begun while one runs
	wanted  bool          // a token waits for a fetch that has not begun
	round   chan struct{} // closed when the next fetch ends
	fetched bool          // keys have been fetched
	version int64         // grows with each change, so that results verified with a removed key are dropped
	last    []byte        // the keys, to detect a change
}

// issuerStore holds the valid keys; jwkset fills it and keyfunc reads it.
type issuerStore struct {
	*jwkset.MemoryJWKSet
	keys *IssuerKeys
}

// NewIssuerKeys returns an error for a URL that is neither https nor on this machine: anyone who can change the
// response on its way can impersonate everyone.
func NewIssuerKeys(jwksURL string, logger *slog.Logger) (*IssuerKeys, error) {
	u, err := url.Parse(jwksURL)
	if err != nil || u.Host == "" {
		return nil, errors.New("the JWKS URL is not a URL")
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	if here := host == "localhost" || ip != nil && ip.IsLoopback(); u.Scheme != "https" && (u.Scheme != "http" || !here) {
		return nil, fmt.Errorf("the JWKS URL %s must be https (http only on localhost)", u.Redacted())
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	k := &IssuerKeys{
		url: jwksURL,
		client: &http.Client{
			Transport: bounded{transport},
			Timeout:   fetchTimeout,
			// A redirect could lead to a URL that the rule above forbids.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		logger: logger,
		limit:  rate.NewLimiter(rate.Every(30*time.Second), 3),
		wake:   make(chan struct{}, 1),
		round:  make(chan struct{}),
	}
	k.store = issuerStore{jwkset.NewMemoryStorage(), k}
	return k, nil
}

// Run fetches the keys at once, every 5 minutes, when a token has an unknown key, and sooner after a failure. It
// returns when ctx ends.
func (k *IssuerKeys) Run(ctx context.Context) {
	defer k.client.CloseIdleConnections()
	wait := retryFirst
	for {
		err := k.fetch(ctx)
		next := fetchEvery
		if err != nil && ctx.Err() == nil {
			next, wait = wait, min(2*wait, fetchEvery)
			k.logger.Warn("the issuer's keys cannot be read; the last known keys stay valid", "error", err, "again_in", next)
		} else {
			wait = retryFirst
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			select {
			case <-k.Gate.Awake():
			case <-k.wake:
			case <-ctx.Done():
				return
			}
		case <-k.wake:
			timer.Stop()
		}
	}
}

// Wake is called before the first request after a silence: it refetches outdated keys. If that fails, the last ones
// stay valid.
func (k *IssuerKeys) Wake(ctx context.Context) error {
	k.mu.Lock()
	old, round := time.Since(k.latest) > fetchEvery, k.round
	if old {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
	k.mu.Unlock()
	if old {
		within, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		closes(within, round)
	}
	return ctx.Err()
}

// fetch fetches the keys once. Without a RefreshInterval jwkset starts no goroutine, which nobody could wait for.
func (k *IssuerKeys) fetch(ctx context.Context) error {
	k.mu.Lock()
	k.latest = time.Now()
	k.begun++
	k.wanted = false
	select {
	case <-k.wake: // requested before this fetch
	default:
	}
	k.mu.Unlock()
	err := errors.New("reading the keys panicked")
	panics.Do(k.logger, "reading the issuer's keys", func() {
		_, err = jwkset.NewStorageFromHTTP(k.url, jwkset.HTTPClientStorageOptions{
			Client: k.client, Ctx: ctx, HTTPTimeout: fetchTimeout, Storage: k.store,
		})
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = k.begun
	close(k.round)
	k.round = make(chan struct{})
	return err
}

// KeyReplaceAll implements jwkset.Storage: fetch calls it with all of the issuer's keys. Missing keys become invalid;
// of the others, only those that can do nothing but verify signatures are valid.
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

// usable leaves out keys that have no id, are not for signatures, are secret (anyone can sign with a published private
// key), or weak.
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

// KeyRead implements jwkset.Storage. An issuer may start to sign with a new key at any moment: for an unknown key, the
// answer is that of a fetch that began after the question or, if there were many lately, of the existing fetches.
func (s issuerStore) KeyRead(ctx context.Context, id string) (jwkset.JWK, error) {
	if j, err := s.MemoryJWKSet.KeyRead(ctx, id); err == nil {
		return j, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	begun, _, _ := s.keys.progress()
	for {
		_, ended, round := s.keys.progress() // before the read that they belong to
		j, err := s.MemoryJWKSet.KeyRead(ctx, id)
		switch {
		case err == nil:
			return j, nil
		case ended > begun || !s.keys.want(round) || !closes(ctx, round):
			return jwkset.JWK{}, s.keys.unknown(err)
		}
	}
}

func (k *IssuerKeys) progress() (begun, ended int, round chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.begun, k.ended, k.round
}

// want reports whether to look again when round closes: after a fetch that has ended meanwhile or is running, or else
// one that Run is woken for, unless that happened often lately.
func (k *IssuerKeys) want(round chan struct{}) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.round != round || k.ended < k.begun || k.wanted {
		return true
	}
	if !k.limit.Allow() {
		return false
	}
	k.wanted = true
	select {
	case k.wake <- struct{}{}:
	default: // it has been woken
	}
	return true
}

// closes waits until c is closed; false if ctx ends first.
func closes(ctx context.Context, c chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// unknown returns err, or ErrNoIssuerKeys as long as no keys were fetched.
func (k *IssuerKeys) unknown(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.fetched {
		return ErrNoIssuerKeys
	}
	return err
}

func (k *IssuerKeys) currentVersion() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.version
}

// bounded truncates responses after maxJWKS bytes; truncated JSON is an error to its reader.
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
