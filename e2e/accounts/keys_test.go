package accounts

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

func withKeyFiles(files ...string) func(*program.Settings) {
	return func(cfg *program.Settings) { cfg.JWTKeyFiles = files }
}

func TestEachKindOfKeyFileWorks(t *testing.T) {
	t.Parallel()
	for _, alg := range keyAlgorithms {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			k := newSigningKey(t, alg)
			p := harness.StartProgram(t, withKeyFiles(k.file(t)))
			ada := p.Signup(t, "ada")
			if h := headerOf(t, ada.AccessToken); h.Alg != alg || h.Kid == "" || h.Kid == nil {
				t.Errorf("token's header = %+v", h)
			}
			ada.Enter("lobby")
			ada.Open(harness.OverWS, "room=lobby").Opening()
			p.Visitor(t).VerifyByJWKS(ada.AccessToken)

			// Two tabs that refresh at once get the same answer for 10 s.
			first, second := ada.Refresh(), ada.Refresh()
			if first.Session != second.Session {
				t.Errorf("two tabs got different responses:\n%+v\n%+v", first.Session, second.Session)
			}
			first.Do("GET", "/v1/me", nil).Want(200)
		})
	}
}

func TestSecretHasNoPublicKeys(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	if a := p.Visitor(t).Do("GET", "/.well-known/jwks.json", nil).Want(200); string(a.Body) != `{"keys":[]}` {
		t.Errorf("JWK Set = %s", a.Body)
	}
}

// Key rotation: the new file is listed first and the old one second, then the old one is removed.
func TestKeysRotateWithoutSigningAnybodyOut(t *testing.T) {
	t.Parallel()
	former, latter := newSigningKey(t, "ES256"), newSigningKey(t, "EdDSA")
	formerFile, latterFile := former.file(t), latter.file(t)
	p := harness.StartProgram(t, withKeyFiles(formerFile))
	ada := p.Signup(t, "ada")
	restart := func(files ...string) {
		t.Helper()
		p.Stop(t)
		p.Settings.JWTKeyFiles = files
		p = p.Again(t)
	}

	restart(latterFile, formerFile)
	both := ada.On(p.Server)
	both.Do("GET", "/v1/me", nil).Want(200) // the old token remains valid
	fresh := both.Refresh()
	if was, is := headerOf(t, ada.AccessToken), headerOf(t, fresh.AccessToken); is.Alg != "EdDSA" || is.Kid == was.Kid {
		t.Errorf("header after the rotation = %+v, before = %+v", is, was)
	}
	fresh.Do("GET", "/v1/me", nil).Want(200)
	both.VerifyByJWKS(ada.AccessToken)
	both.VerifyByJWKS(fresh.AccessToken)

	restart(latterFile)
	ada.On(p.Server).WantDead()
	fresh.On(p.Server).Do("GET", "/v1/me", nil).Want(200)
}

// When a key file replaces the secret, access tokens signed with the secret are refused, and sessions continue.
func TestKeyFilesTakeOverFromTheSecret(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithSecret)
	ada := p.Signup(t, "ada")
	p.Stop(t)
	p.Settings.JWTKeyFiles = []string{newSigningKey(t, "EdDSA").file(t)}
	again := ada.On(p.Again(t).Server)
	again.WantDead()
	again.Refresh().Do("GET", "/v1/me", nil).Want(200)
}

func TestForgedTokensAreRefusedUnderKeyFiles(t *testing.T) {
	t.Parallel()
	first, second, foreign := newSigningKey(t, "RS256"), newSigningKey(t, "ES256"), newSigningKey(t, "RS256")
	foreign.private = rsaKeys()[1]
	p := harness.StartProgram(t, harness.WithSecret, withKeyFiles(first.file(t), second.file(t)))
	ada := p.Signup(t, "ada")
	var set struct{ Keys []struct{ Kid, Alg string } }
	ada.Do("GET", "/.well-known/jwks.json", nil).Want(200).Into(&set)
	if len(set.Keys) != 2 {
		t.Fatalf("the JWK Set has %d keys", len(set.Keys))
	}
	first.kid, second.kid = set.Keys[0].Kid, set.Keys[1].Kid
	foreign.kid = "foreign"
	real := harness.ClaimsOf(t, ada.AccessToken)

	// A server from which a naive verifier would fetch the forger's key.
	fetched := make(chan string, 100)
	trap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fetched <- r.URL.Path }))
	t.Cleanup(trap.Close)
	for _, alg := range []*signingKey{first, second} { // proves that the refusals below have the stated reason
		ada.WithToken(alg.token(t, real)).Do("GET", "/v1/me", nil).Want(200)
	}
	tests := []struct{ name, token string }{
		{"alg none", real.Sign("none", "")},
		{"alg none under a kid", unsigned(first.token(t, real, "alg", "none"))},
		{"a removed signature", unsigned(first.token(t, real))},
		{"HS256 under the secret", real.Sign("HS256", harness.Secret)},
		{"HS256 under the public key's PEM", hmacToken(t, first.publicPEM(t), real, "kid", first.kid)},
		{"HS256 under the public key's PEM, without a kid", hmacToken(t, first.publicPEM(t), real)},
		{"HS256 under the secret with a kid", hmacToken(t, []byte(harness.Secret), real, "kid", first.kid)},
		{"a foreign key", foreign.token(t, real)},
		{"a foreign key under a known kid", foreign.token(t, real, "kid", first.kid)},
		{"a foreign key without a kid", foreign.token(t, real, "kid", nil)},
		{"a foreign key sent as jwk", foreign.token(t, real, "jwk", foreign.jwk(t))},
		{"a foreign key sent as jwk, under a known kid", foreign.token(t, real, "kid", first.kid, "jwk", foreign.jwk(t))},
		{"a key behind jku", foreign.token(t, real, "jku", trap.URL+"/jku")},
		{"a certificate behind x5u", foreign.token(t, real, "x5u", trap.URL+"/x5u")},
		{"a kid that is a path", foreign.token(t, real, "kid", "../../../dev/null")},
		{"a kid that is a number", first.token(t, real, "kid", 1)},
		{"an unknown kid", first.token(t, real, "kid", "unknown")},
		{"no kid", first.token(t, real, "kid", nil)},
		{"an empty kid", first.token(t, real, "kid", "")},
		{"the kid of the other kind of key", first.token(t, real, "kid", second.kid)},
		{"RS512", first.token(t, real, "alg", "RS512")},
		{"PS256", first.token(t, real, "alg", "PS256")},
		{"another iss", first.token(t, real.With("iss", "elsewhere"))},
		{"another aud", first.token(t, real.With("aud", "elsewhere"))},
		{"no exp", first.token(t, real.With("exp", nil))},
		{"no sid", first.token(t, real.With("sid", nil))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { ada.In(t).WithToken(test.token).WantDead() })
	}
	ada.WithToken(first.token(t, real.Expiring(-40*time.Second))).Do("GET", "/v1/me", nil).WantProblem(401, "token_expired", "")
	if len(fetched) > 0 {
		t.Errorf("the server fetched a forger's %s, want none", <-fetched)
	}
}

func TestUnusableKeyFilesPreventTheStart(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good := newSigningKey(t, "EdDSA").file(t)
	for says, files := range map[string][]string{
		"P-384":          {(&signingKey{private: p384}).file(t)},
		"1024 bits":      {good, (&signingKey{private: small}).file(t)},
		"no such":        {"/no/such/file.pem"},
		"at most 2":      {good, newSigningKey(t, "EdDSA").file(t), newSigningKey(t, "ES256").file(t)},
		"the same":       {good, good},
		"is a directory": {t.TempDir()},
	} {
		cfg := harness.Defaults()
		cfg.Addr, cfg.DataDir, cfg.JWTKeyFiles = "127.0.0.1:0", t.TempDir(), files
		p, err := program.Start(context.Background(), cfg, harness.ReadSpec(t), slog.New(slog.DiscardHandler))
		if err == nil {
			_ = p.Stop(context.Background())
			t.Errorf("%s: the program started, want an error", says)
			continue
		}
		if !strings.Contains(err.Error(), says) {
			t.Errorf("error = %q, want it to contain %q", err, says)
		}
		if len(files) == 1 && !strings.Contains(err.Error(), files[0]) {
			t.Errorf("error = %q, want it to contain %s", err, files[0])
		}
	}
}
