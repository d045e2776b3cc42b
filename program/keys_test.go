package program

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

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

func withKeyFiles(files ...string) func(*Settings) {
	return func(cfg *Settings) { cfg.JWTKeyFiles = files }
}

// refresh trades the refresh token for a new session.
func (c *client) refresh() *client {
	c.t.Helper()
	other := c.in(c.t)
	c.do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": c.RefreshToken}).want(200).into(&other.session)
	return other
}

// wantDead asserts that the client's access token counts nowhere.
func (c *client) wantDead() {
	c.t.Helper()
	c.do("GET", "/v1/me", nil).wantProblem(401, "invalid_token", "")
	c.do("POST", "/v1/auth/ticket", nil).wantProblem(401, "invalid_token", "")
	for _, over := range transports {
		c.refused(over, "").wantProblem(401, "invalid_token", "")
	}
}

func TestEachKindOfKeyFileServes(t *testing.T) {
	t.Parallel()
	for _, alg := range keyAlgorithms {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			k := newSigningKey(t, alg)
			p := startProgram(t, withKeyFiles(k.file(t)))
			ada := p.signup(t, "ada")
			if h := headerOf(t, ada.AccessToken); h.Alg != alg || h.Kid == "" || h.Kid == nil {
				t.Errorf("the token's header is %+v", h)
			}
			ada.enter("lobby")
			ada.open(overWS, "room=lobby").opening()
			p.visitor(t).verifyByJWKS(ada.AccessToken)

			// The same answer for 10 s, for two tabs that refresh at once.
			first, second := ada.refresh(), ada.refresh()
			if first.session != second.session {
				t.Errorf("two tabs got two answers:\n%+v\n%+v", first.session, second.session)
			}
			first.do("GET", "/v1/me", nil).want(200)
		})
	}
}

// verifyByJWKS does what another service would do: it reads the JWK Set and verifies the token by it.
func (c *client) verifyByJWKS(token string) {
	c.t.Helper()
	a := c.do("GET", "/.well-known/jwks.json", nil).want(200)
	if got := a.header.Get("Cache-Control"); got != "public, max-age=300" {
		c.t.Errorf("Cache-Control is %q", got)
	}
	set, err := keyfunc.NewJWKSetJSON(a.body)
	if err != nil {
		c.t.Fatalf("the JWK Set cannot be read: %v\n%s", err, a.body)
	}
	if _, err := jwt.Parse(token, set.Keyfunc, jwt.WithIssuer("tandem"), jwt.WithAudience("tandem"), jwt.WithExpirationRequired()); err != nil {
		c.t.Errorf("another service refuses the token: %v", err)
	}
	if strings.Contains(string(a.body), `"d"`) || strings.Contains(string(a.body), `"p"`) {
		c.t.Errorf("the JWK Set shows a private key: %s", a.body)
	}
}

func TestSecretHasNoPublicKeys(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	if a := p.visitor(t).do("GET", "/.well-known/jwks.json", nil).want(200); string(a.body) != `{"keys":[]}` {
		t.Errorf("the JWK Set is %s", a.body)
	}
}

// Rotation: the new file goes first, the old one second, then the old one goes.
func TestKeysRotateWithoutSigningAnybodyOut(t *testing.T) {
	t.Parallel()
	former, latter := newSigningKey(t, "ES256"), newSigningKey(t, "EdDSA")
	formerFile, latterFile := former.file(t), latter.file(t)
	p := startProgram(t, withKeyFiles(formerFile))
	ada := p.signup(t, "ada")
	restart := func(files ...string) {
		t.Helper()
		p.stop(t)
		p.settings.JWTKeyFiles = files
		p = p.again(t)
	}

	restart(latterFile, formerFile)
	both := ada.on(p.testServer)
	both.do("GET", "/v1/me", nil).want(200) // the old token goes on
	fresh := both.refresh()
	if was, is := headerOf(t, ada.AccessToken), headerOf(t, fresh.AccessToken); is.Alg != "EdDSA" || is.Kid == was.Kid {
		t.Errorf("after the rotation tokens are signed by %+v, before by %+v", is, was)
	}
	fresh.do("GET", "/v1/me", nil).want(200)
	both.verifyByJWKS(ada.AccessToken)
	both.verifyByJWKS(fresh.AccessToken)

	restart(latterFile)
	ada.on(p.testServer).wantDead()
	fresh.on(p.testServer).do("GET", "/v1/me", nil).want(200)
}

// From the secret to a key file: access tokens of the secret no longer count, sessions go on.
func TestKeyFilesTakeOverFromTheSecret(t *testing.T) {
	t.Parallel()
	p := startProgram(t, withTestSecret)
	ada := p.signup(t, "ada")
	p.stop(t)
	p.settings.JWTKeyFiles = []string{newSigningKey(t, "EdDSA").file(t)}
	again := ada.on(p.again(t).testServer)
	again.wantDead()
	again.refresh().do("GET", "/v1/me", nil).want(200)
}

func TestForgedTokensAreRefusedUnderKeyFiles(t *testing.T) {
	t.Parallel()
	first, second, foreign := newSigningKey(t, "RS256"), newSigningKey(t, "ES256"), newSigningKey(t, "RS256")
	foreign.private = rsaKeys()[1]
	p := startProgram(t, withTestSecret, withKeyFiles(first.file(t), second.file(t)))
	ada := p.signup(t, "ada")
	var set struct{ Keys []struct{ Kid, Alg string } }
	ada.do("GET", "/.well-known/jwks.json", nil).want(200).into(&set)
	if len(set.Keys) != 2 {
		t.Fatalf("there are %d keys", len(set.Keys))
	}
	first.kid, second.kid = set.Keys[0].Kid, set.Keys[1].Kid
	foreign.kid = "foreign"
	real := claimsOf(t, ada.AccessToken)

	// A server from which a gullible verifier would fetch the forger's key.
	fetched := make(chan string, 100)
	trap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fetched <- r.URL.Path }))
	t.Cleanup(trap.Close)
	for _, alg := range []*signingKey{first, second} { // so that the refusals below are for what they say
		ada.withToken(alg.token(t, real)).do("GET", "/v1/me", nil).want(200)
	}
	tests := []struct{ name, token string }{
		{"alg none", real.sign("none", "")},
		{"alg none under a kid", unsigned(first.token(t, real, "alg", "none"))},
		{"a signature taken away", unsigned(first.token(t, real))},
		{"HS256 under the secret", real.sign("HS256", testSecret)},
		{"HS256 under the public key's PEM", hmacToken(t, first.publicPEM(t), real, "kid", first.kid)},
		{"the same without a kid", hmacToken(t, first.publicPEM(t), real)},
		{"HS256 under the secret with a kid", hmacToken(t, []byte(testSecret), real, "kid", first.kid)},
		{"a foreign key", foreign.token(t, real)},
		{"a foreign key under a known kid", foreign.token(t, real, "kid", first.kid)},
		{"a foreign key without a kid", foreign.token(t, real, "kid", nil)},
		{"a foreign key that comes along as jwk", foreign.token(t, real, "jwk", foreign.jwk(t))},
		{"the same under a known kid", foreign.token(t, real, "kid", first.kid, "jwk", foreign.jwk(t))},
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
		{"another iss", first.token(t, real.with("iss", "elsewhere"))},
		{"another aud", first.token(t, real.with("aud", "elsewhere"))},
		{"no exp", first.token(t, real.with("exp", nil))},
		{"no sid", first.token(t, real.with("sid", nil))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { ada.in(t).withToken(test.token).wantDead() })
	}
	ada.withToken(first.token(t, real.expiring(-40*time.Second))).do("GET", "/v1/me", nil).wantProblem(401, "token_expired", "")
	if len(fetched) > 0 {
		t.Errorf("the server fetched a forger's %s", <-fetched)
	}
}

func TestKeyFilesThatDoNotDoStopTheStart(t *testing.T) {
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
		cfg := Defaults()
		cfg.Addr, cfg.DataDir, cfg.JWTKeyFiles = "127.0.0.1:0", t.TempDir(), files
		p, err := Start(context.Background(), cfg, readSpec(t), slog.New(slog.DiscardHandler))
		if err == nil {
			_ = p.Stop(context.Background())
			t.Errorf("%s: it started", says)
			continue
		}
		if !strings.Contains(err.Error(), says) {
			t.Errorf("the error %q does not say %q", err, says)
		}
		if len(files) == 1 && !strings.Contains(err.Error(), files[0]) {
			t.Errorf("the error %q does not name %s", err, files[0])
		}
	}
}
