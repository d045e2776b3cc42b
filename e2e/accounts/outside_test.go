package accounts

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestTokensOfAnOutsideIssuerAreAccepted(t *testing.T) {
	t.Parallel()
	for _, alg := range keyAlgorithms {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			k := newIssuerKey(t, alg, "2026-11")
			p := harness.StartProgram(t, withIssuer(startIssuer(t, k).url))
			ada := p.Bearer(t, k.token(t, outsider("u-1", "Ada")))
			if got := ada.Name(); got != "ada" {
				t.Errorf("ada's name = %q, want \"ada\"", got)
			}
			ada.Enter("lobby")
			ada.Post("lobby", "hello")
			// Another token with the same subject is the same user, whatever name it has.
			if got := p.Bearer(t, k.token(t, outsider("u-1", "adele"))).Name(); got != "ada" {
				t.Errorf("name with another token = %q, want \"ada\"", got)
			}
			var got struct{ Ticket string }
			ada.Do("POST", "/v1/auth/ticket", nil).Want(201).Into(&got)
			if s := p.Visitor(t).Open(harness.OverSSE, "ticket="+got.Ticket); s.Opening().User != "ada" {
				t.Errorf("user of the ticket's stream = %s", s.Open.User)
			}
			ada.Open(harness.OverWS, "room=lobby").Opening()
			if a := ada.Do("GET", "/.well-known/jwks.json", nil).Want(200); string(a.Body) != `{"keys":[]}` {
				t.Errorf("JWK Set = %s", a.Body)
			}
		})
	}
}

func TestOutsideIssuerDisablesLocalLogins(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithSecret)
	local := p.Signup(t, "ada")
	_, cookie := local.LoginWithCookie()
	p.Stop(t)
	k := newIssuerKey(t, "EdDSA", "k")
	p.Settings.JWTIssuer = ""
	withIssuer(startIssuer(t, k).url)(&p.Settings)
	p = p.Again(t)
	ada := local.On(p.Server)
	ada.Do("POST", "/v1/auth/signup", harness.Credentials{Username: "bob", Password: "a good horse battery"}).WantProblem(403, "signup_closed", "")
	ada.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).WantProblem(403, "login_closed", "")
	ada.Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": ada.RefreshToken}).WantProblem(403, "login_closed", "")
	ada.WantDead() // a token signed by tandem itself
	for _, over := range harness.Transports {
		p.Visitor(t).Refused(over, "", cookie, "Origin: "+p.URL).WantProblem(401, "invalid_token", "")
	}
	// A token signed by tandem with the issuer's claims is not accepted as the issuer's.
	forged := harness.ClaimsOf(t, local.AccessToken).With("iss", outsideIssuer).With("aud", outsideAudience)
	ada.WithToken(forged.Sign("HS256", harness.Secret)).WantDead()
}

// A user who is disabled here is locked out although the issuer's token is still valid, verified before or not. So are
// their tickets.
func TestDisabledOutsidersAreRefused(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	p := harness.StartProgram(t, withIssuer(startIssuer(t, k).url))
	ada := p.Bearer(t, k.token(t, outsider("u-1", "ada")))
	other := p.Bearer(t, k.token(t, outsider("u-1", "ada").With("jti", 2)))
	var got, bot struct{ Ticket, Token string }
	ada.Do("POST", "/v1/auth/ticket", nil).Want(201).Into(&got)
	ada.Do("POST", "/v1/tokens", map[string]string{"name": "bot"}).Want(201).Into(&bot)
	script := p.Bearer(t, bot.Token)
	script.Do("GET", "/v1/me", nil).Want(200)
	ada.Do("POST", "/v1/auth/logout", nil).WantProblem(403, "login_closed", "") // only the issuer can do that
	stream := ada.Open(harness.OverSSE, "")
	stream.Opening()
	admin, err := program.OpenAdmin(t.Context(), p.Settings)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.SetDisabled(t.Context(), "ada", true); err != nil {
		t.Fatal(err)
	}
	stream.WantClose("disabled")
	for _, c := range []*harness.Client{ada, other, script} {
		c.Do("POST", "/v1/auth/ticket", nil).WantProblem(401, "invalid_token", "")
		c.Do("GET", "/v1/rooms", nil).WantProblem(401, "invalid_token", "")
	}
	p.Visitor(t).Refused(harness.OverSSE, "ticket="+got.Ticket).WantProblem(401, "invalid_token", "")
	if err := admin.SetDisabled(t.Context(), "ada", false); err != nil {
		t.Fatal(err)
	}
	if name := ada.Name(); name != "ada" {
		t.Errorf("afterwards her name is %q, want \"ada\"", name)
	}
}

// These users have no password here: the issuer's token is all they need.
func TestOutsidersDeleteTheirAccounts(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	p := harness.StartProgram(t, withIssuer(startIssuer(t, k).url))
	ada := p.Bearer(t, k.token(t, outsider("u-1", "ada")))
	ada.Name()
	var bot struct{ Token string }
	ada.Do("POST", "/v1/tokens", map[string]string{"name": "bot"}).Want(201).Into(&bot)
	ada.Do("PATCH", "/v1/me", map[string]string{"current_password": "!", "password": "a good horse"}).WantProblem(403, "login_closed", "")
	p.Bearer(t, bot.Token).Do("DELETE", "/v1/me", map[string]string{}).WantProblem(403, "token_scope", "")
	ada.Do("DELETE", "/v1/me", map[string]string{}).Want(204)
	ada.WantDead()
	p.Bearer(t, k.token(t, outsider("u-1", "ada").With("jti", 2))).WantDead()
	if name := p.Bearer(t, k.token(t, outsider("u-2", "ada"))).Name(); name != "ada-2" {
		t.Errorf("the second ada got the name %q, want \"ada-2\"", name)
	}
	if name := p.Bearer(t, k.token(t, outsider("u-3", "аԁа"))).Name(); name != "аԁа-3" { // Cyrillic
		t.Errorf("the lookalike got the name %q, want \"аԁа-3\"", name)
	}
}

// A browser's EventSource reconnects with the cookie here too, for as long as the requesting token is valid.
func TestOutsidersGetTheStreamCookie(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	p := harness.StartProgram(t, withIssuer(startIssuer(t, k).url))
	ada := p.Bearer(t, k.token(t, outsider("u-1", "ada").Expiring(10*time.Minute)))
	ticket := func() string {
		var got struct{ Ticket string }
		ada.Do("POST", "/v1/auth/ticket", nil).Want(201).Into(&got)
		return "ticket=" + got.Ticket
	}
	browser, query := p.Visitor(t), ticket()
	first := browser.Open(harness.OverSSE, query, "Origin: "+p.URL)
	set := harness.CookieOf(t, first.Header)
	if set == nil || !set.HttpOnly || set.SameSite != http.SameSiteStrictMode || set.MaxAge < 500 || set.MaxAge > 600 {
		t.Fatalf("cookies set by the ticket's stream = %v", set)
	}
	p.Logs.KeepSecret(set.Value)
	cookie := "Cookie: tandem_stream=" + set.Value
	if name := browser.Open(harness.OverWS, query, "Origin: "+p.URL, cookie).Opening().User; name != "ada" {
		t.Errorf("user of the cookie's stream = %s", name)
	}
	browser.Refused(harness.OverSSE, "", cookie, "Origin: http://evil.example").WantProblem(403, "bad_origin", "Origin")
	browser.Do("GET", "/v1/me", nil, cookie, "Origin: "+p.URL).WantProblem(401, "missing_token", "")
	part := strings.Split(set.Value, ".")
	for _, forged := range [][]string{
		{part[0], "2" + part[1], part[2], part[3]}, {part[0], part[1], part[2] + "0", part[3]}, {part[0], part[1], part[2], ""}, {part[0], part[1], part[2]},
	} {
		browser.Refused(harness.OverSSE, "", "Cookie: tandem_stream="+strings.Join(forged, "."), "Origin: "+p.URL).WantProblem(401, "invalid_token", "")
	}
	if s := browser.Open(harness.OverSSE, ticket(), "Origin: http://evil.example"); harness.CookieOf(t, s.Header) != nil {
		t.Error("a page of another origin got the cookie")
	}
	ada.Do("DELETE", "/v1/me", map[string]string{}).Want(204)
	browser.Refused(harness.OverSSE, "", cookie, "Origin: "+p.URL).WantProblem(401, "invalid_token", "")
}

// A name in a token never leads to a local account: existing users stay who they are.
func TestOutsidersNeverReachALocalAccount(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	local := p.Signup(t, "ada")
	local.Enter("lobby")
	own := local.Post("lobby", "mine")
	p.Stop(t)
	k := newIssuerKey(t, "EdDSA", "k")
	withIssuer(startIssuer(t, k).url)(&p.Settings)
	p = p.Again(t)

	sub := fmt.Sprint(harness.ClaimsOf(t, local.AccessToken)["sub"]) // her id, as in one of our tokens
	names := map[string]bool{}
	for i, c := range []harness.Claims{
		outsider("u-1", "ada"), outsider("u-2", "ADA"), outsider("u-3", "ａｄａ"), outsider("ada", ""),
		outsider(sub, "ada"), outsider("u-6", "").With("name", "Ada"), outsider("u-7", "").With("email", "ada@example.org"),
		outsider("u-8", "ada").With("sid", 1).With("name", "ada").With("role", "admin").With("admin", true),
	} {
		other := p.Bearer(t, k.token(t, c))
		name := other.Name()
		if want := fmt.Sprintf("ada-%d", i+2); name != want {
			t.Errorf("%v got the name %q, want %q", c, name, want)
		}
		if names[name] {
			t.Errorf("two users are called %q", name)
		}
		names[name] = true
		var me struct{ Role string }
		if other.Do("GET", "/v1/me", nil).Into(&me); me.Role != "user" {
			t.Errorf("%v: role = %s", c, me.Role)
		}
	}
	// A local user whose name looks suffixed is safe too.
	if got := p.Bearer(t, k.token(t, outsider("u-9", "ada-2"))).Name(); got == "ada-2" || got == "ada" {
		t.Errorf("name of the second ada-2 = %q", got)
	}
	// The same subject from another issuer is another user.
	p.Stop(t)
	p.Settings.JWTIssuer = "https://another.example.org/"
	p = p.Again(t)
	if got := p.Bearer(t, k.token(t, outsider("u-1", "eve").With("iss", p.Settings.JWTIssuer))).Name(); got != "eve" {
		t.Errorf("another issuer's u-1 is %q, want \"eve\"", got)
	}
	// Without the issuer ada is who she was, and outside users have no password.
	p.Stop(t)
	p.Settings.JWKSURL, p.Settings.JWTIssuer, p.Settings.JWTAudience = "", harness.Defaults().JWTIssuer, harness.Defaults().JWTAudience
	p = p.Again(t)
	again := p.Visitor(t)
	again.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: local.Password}).Want(200).Into(&again.Session)
	if got := again.WholeHistory("lobby"); len(got) != 1 || got[0].ID != own.ID {
		t.Errorf("ada's history = %s", harness.Show(got))
	}
	for name := range names {
		for _, password := range []string{"", "!", strings.Repeat("\x00", 32), "correct horse of ada"} {
			again.Do("POST", "/v1/auth/login", harness.Credentials{Username: name, Password: password}).WantProblem(401, "bad_credentials", "")
		}
	}
}

func TestNamesOfOutsiders(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	p := harness.StartProgram(t, withIssuer(startIssuer(t, k).url))
	who := func(c harness.Claims) string { t.Helper(); return p.Bearer(t, k.token(t, c)).Name() }
	for i, test := range []struct {
		claims harness.Claims
		want   string
	}{
		{outsider("s1", "Мария"), "мария"},
		{outsider("s2", "grace@example.org"), "grace"},
		{outsider("s3", "").With("name", "Ada Lovelace"), "ada-lovelace"},
		{outsider("s4", "💥").With("name", "Barbara"), "barbara"},
		{outsider("s5", "").With("name", 7).With("email", "edsger@example.org"), "edsger"},
		{outsider("auth0|5f7c8ec7", ""), "auth0-5f7c8ec7"},
		{outsider("💥", "  "), "user"},
		{outsider("💥💥", "\u0000"), "user-2"},
		{outsider("s9", strings.Repeat("a", 40)), strings.Repeat("a", 32)},
		{outsider("s10", strings.Repeat("a", 40)), strings.Repeat("a", 30) + "-2"},
		{outsider("s11", "..."), "s11"},
		{outsider("s12", strings.Repeat("x", 20_000)), strings.Repeat("x", 32)},
		{outsider("s13", "שלום"), "שלום"},
		{outsider("s14", "שלום"), ""}, // in right-to-left text, whatever the suffix does to the name
		{outsider("s15", "Admin"), "admin-2"},
		{outsider("s16", "adrnin"), "adrnin-3"}, // adrnin-2 looks like the name above
		{outsider("s17", "علی\u200cرضا"), "علی\u200cرضا"},
		{outsider("s18", "علی\u200cرضا نوری"), "علی\u200cرضا-نوری"},
		{outsider("s19", "Ada\u200c\u200dL"), "adal"},
	} {
		if got := who(test.claims); got != test.want && test.want != "" {
			t.Errorf("user %d got the name %q, want %q", i, got, test.want)
		}
	}
	for i := range 60 { // more than get a numbered name
		who(outsider(fmt.Sprintf("m-%d", i), "mallory"))
	}
}

// A user first seen by many concurrent requests is created once.
func TestOutsiderIsProvisionedOnce(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "ES256", "k")
	p := harness.StartProgram(t, withIssuer(startIssuer(t, k).url))
	var wrong atomic.Int32
	harness.InParallel(24, func(i int) {
		c := p.Bearer(t, k.token(t, outsider(fmt.Sprintf("u-%d", i%2), fmt.Sprintf("twin%d", i%2))))
		a, err := c.Try("GET", "/v1/me", nil)
		if err != nil || !strings.Contains(string(a.Body), fmt.Sprintf(`"twin%d"`, i%2)) {
			wrong.Add(1)
		}
	})
	if wrong.Load() > 0 {
		t.Errorf("%d of 24 requests were answered for another user", wrong.Load())
	}
	db := harness.OpenDatabase(t, p.Settings.DataDir)
	var users, outside int
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM outside_users)`).Scan(&users, &outside); err != nil {
		t.Fatal(err)
	}
	if users != 2 || outside != 2 {
		t.Errorf("got %d users, %d of them from the issuer", users, outside)
	}
}

func TestInvalidSubjects(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	p := harness.StartProgram(t, withIssuer(startIssuer(t, k).url))
	exp := time.Now().Add(time.Minute).Unix()
	payload := func(rest string) harness.Raw {
		return harness.Raw(fmt.Sprintf(`{"iss":%q,"aud":%q,"exp":%d,%s}`, outsideIssuer, outsideAudience, exp, rest))
	}
	for name, c := range map[string]any{
		"none": outsider(nil, "x").With("sub", nil), "null": payload(`"sub":null`), "a number": outsider(17, "x"), "true": outsider(true, "x"),
		"a list": outsider([]string{"ada"}, "x"), "an object": payload(`"sub":{}`), "empty": outsider("", "x"),
		"too long": outsider(strings.Repeat("s", 256), "x"), "a NUL": outsider("a\x00b", "x"), "a line break": outsider("a\nb", "x"),
		"half a surrogate pair": payload(`"sub":"\ud800"`), "the other half": payload(`"sub":"\ud801"`),
		"SUB in capitals": payload(`"SUB":"ada"`), "no claims": harness.Raw(`[]`), "null claims": harness.Raw(`null`),
	} {
		t.Run(name, func(t *testing.T) { p.Bearer(t, k.token(t, c)).WantDead() })
	}
	// Subjects are compared byte for byte, and a claim SUB is not sub.
	first := p.Bearer(t, k.token(t, outsider("Case", "casey"))).Name()
	for i, c := range []any{
		outsider("case", "casey"), outsider("Case ", "casey"), outsider(" Case", "casey"), outsider("Ｃase", "casey"), outsider("Case%", "casey"),
		payload(`"sub":"other","SUB":"Case","Sub":"Case","preferred_username":"casey"`),
		payload(`"sub":"' OR 1=1 --","preferred_username":"casey"`),
		outsider(strings.Repeat("s", 255), "casey"), outsider("e\u0301", "casey"), outsider("\u00e9", "casey"),
	} {
		if got, want := p.Bearer(t, k.token(t, c)).Name(), fmt.Sprintf("casey-%d", i+2); got != want {
			t.Errorf("%v is %q, want %q", c, got, want)
		}
	}
	if got := p.Bearer(t, k.token(t, outsider("Case", "casey").With("jti", "2"))).Name(); got != first {
		t.Errorf("name of the first user changed to %q, was %q", got, first)
	}
}

func TestForgedOutsideTokensAreRefused(t *testing.T) {
	t.Parallel()
	rsaKey, ecKey, foreign := newIssuerKey(t, "RS256", "rsa"), newIssuerKey(t, "ES256", "ec"), newIssuerKey(t, "RS256", "foreign")
	foreign.private = rsaKeys()[1]
	weak := newIssuerKey(t, "RS256", "weak")
	var err error
	if weak.private, err = rsa.GenerateKey(rand.Reader, 1024); err != nil {
		t.Fatal(err)
	}
	secret, unnamed, encrypting := []byte("a secret in a JWK Set is one no more"), newIssuerKey(t, "EdDSA", ""), newIssuerKey(t, "EdDSA", "enc")
	encJWK := encrypting.jwk(t)
	encJWK["use"] = "enc"
	i := startIssuer(t)
	trap := startIssuer(t, foreign)
	i.publishRaw(rsaKey.jwk(t), ecKey.jwk(t), weak.jwk(t), encJWK, unnamed.jwk(t),
		map[string]string{"kty": "oct", "kid": "secret", "alg": "HS256", "k": text64(secret)})
	p := harness.StartProgram(t, withIssuer(i.url))
	good := outsider("u-1", "ada")
	for _, k := range []*signingKey{rsaKey, ecKey} { // proves that the refusals below have the stated reason
		p.Bearer(t, k.token(t, good)).Do("GET", "/v1/me", nil).Want(200)
	}
	p.Bearer(t, rsaKey.token(t, good.With("aud", []string{"other", outsideAudience}))).Do("GET", "/v1/me", nil).Want(200)
	p.Bearer(t, rsaKey.token(t, good.Expiring(-20*time.Second))).Do("GET", "/v1/me", nil).Want(200) // within the leeway
	for _, test := range []struct{ name, token string }{
		{"alg none", good.Sign("none", "")},
		{"alg none under a kid", unsigned(rsaKey.token(t, good, "alg", "none"))},
		{"HS256 under the public key's PEM", hmacToken(t, rsaKey.publicPEM(t), good, "kid", "rsa")},
		{"HS256 under the set's secret", hmacToken(t, secret, good, "kid", "secret")},
		{"a foreign key", foreign.token(t, good)},
		{"a foreign key under a known kid", foreign.token(t, good, "kid", "rsa")},
		{"a foreign key sent as jwk", foreign.token(t, good, "jwk", foreign.jwk(t))},
		{"a foreign key behind jku", foreign.token(t, good, "jku", trap.url)},
		{"a foreign key behind jku, under a known kid", foreign.token(t, good, "kid", "rsa", "jku", trap.url, "x5u", trap.url)},
		{"the kid of the other kind of key", rsaKey.token(t, good, "kid", "ec")},
		{"another algorithm of the same kind", rsaKey.token(t, good, "alg", "RS512")},
		{"no kid", rsaKey.token(t, good, "kid", nil)},
		{"a key without a kid", unnamed.token(t, good, "kid", nil)},
		{"a key without a kid, sent with an empty one", unnamed.token(t, good)},
		{"a key for encryption", encrypting.token(t, good)},
		{"a weak key", weak.token(t, good)},
		{"crit", rsaKey.token(t, good, "crit", []string{"b64"}, "b64", false)},
		{"another iss", rsaKey.token(t, good.With("iss", "https://evil.example.org/"))},
		{"an iss with the right prefix", rsaKey.token(t, good.With("iss", outsideIssuer+"x"))},
		{"no iss", rsaKey.token(t, good.With("iss", nil))},
		{"another aud", rsaKey.token(t, good.With("aud", "other"))},
		{"no aud", rsaKey.token(t, good.With("aud", nil))},
		{"an empty list of aud", rsaKey.token(t, good.With("aud", []string{}))},
		{"no exp", rsaKey.token(t, good.With("exp", nil))},
		{"exp as text", rsaKey.token(t, good.With("exp", "4102444800"))},
		{"exp too large", rsaKey.token(t, good.With("exp", 1e18))},
		{"not yet", rsaKey.token(t, good.With("nbf", time.Now().Add(time.Hour).Unix()))},
	} {
		t.Run(test.name, func(t *testing.T) { p.Bearer(t, test.token).WantDead() })
	}
	p.Bearer(t, rsaKey.token(t, good.Expiring(-40*time.Second))).Do("GET", "/v1/me", nil).WantProblem(401, "token_expired", "")
	if trap.fetched() > 0 {
		t.Error("the server fetched the keys of a forged issuer")
	}
	// Hundreds of unknown kids cause only a few fetches.
	if n := i.fetched(); n > 6 {
		t.Errorf("forged tokens caused %d fetches of the keys", n)
	}
}

func TestIssuerRotatesItsKeys(t *testing.T) {
	t.Parallel()
	former, latter := newIssuerKey(t, "RS256", "former"), newIssuerKey(t, "ES256", "latter")
	i := startIssuer(t, former)
	p := harness.StartProgram(t, withIssuer(i.url))
	ada := p.Bearer(t, former.token(t, outsider("u-1", "ada")))
	ada.Do("GET", "/v1/me", nil).Want(200)
	i.publish(t, latter, former)
	// Many requests with the new key at once cause one fetch.
	before := i.fetched()
	harness.InParallel(16, func(n int) {
		c := p.Bearer(t, latter.token(t, outsider("u-1", "ada").With("jti", n)))
		if a, err := c.Try("GET", "/v1/me", nil); err != nil || a.Status != 200 {
			t.Errorf("token signed with the new key: got %d, %v", a.Status, err)
		}
	})
	if n := i.fetched() - before; n > 2 {
		t.Errorf("new key fetched %d times", n)
	}
	ada.Do("GET", "/v1/me", nil).Want(200)
	// The old key is withdrawn. Once the server has seen that, its tokens are refused, even those verified before.
	i.publish(t, latter)
	p.Bearer(t, latter.token(t, outsider("u-1", "ada"), "kid", "unknown")).Do("GET", "/v1/me", nil).WantProblem(401, "invalid_token", "")
	ada.WantDead()
}

func TestIssuerDownAtStart(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	address := harness.FreeAddress(t)
	p := harness.StartProgram(t, withIssuer("http://"+address+"/jwks"))
	ada := p.Bearer(t, k.token(t, outsider("u-1", "ada")))
	ada.Do("GET", "/readyz", nil).Want(200)
	ada.Do("GET", "/v1/me", nil).WantProblem(503, "unavailable", "") // unknown at this point: a 401 would log her out
	ada.WithToken(outsider("u-1", "ada").Sign("none", "")).Do("GET", "/v1/me", nil).WantProblem(401, "invalid_token", "")
	startIssuerAt(t, address, k)
	deadline := time.Now().Add(harness.Patience)
	for {
		a, err := ada.Try("GET", "/v1/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("issuer is back, but still got %d", a.Status)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// Bad answers from the issuer do no harm: the server keeps using the keys that it has.
func TestIssuerWithInvalidAnswers(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	elsewhere := startIssuer(t, newIssuerKey(t, "EdDSA", "k"))
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"500":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"HTML": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.url, http.StatusFound)
		},
		"4 MiB": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[],"x":"`))
			for range 64 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
					return
				}
			}
			_, _ = w.Write([]byte(`"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := startIssuer(t, k)
			p := harness.StartProgram(t, withIssuer(i.url))
			ada := p.Bearer(t, k.token(t, outsider("u-1", "ada")))
			ada.Do("GET", "/v1/me", nil).Want(200)
			i.answers(answer)
			before := i.fetched()
			p.Bearer(t, k.token(t, outsider("u-1", "ada"), "kid", "unknown")).Do("GET", "/v1/me", nil).WantProblem(401, "invalid_token", "")
			if i.fetched() == before {
				t.Error("the issuer got no request")
			}
			ada.Do("GET", "/v1/me", nil).Want(200)
			p.Bearer(t, k.token(t, outsider("u-1", "ada").With("jti", 2))).Do("GET", "/v1/me", nil).Want(200)
		})
	}
}

func TestUnusableIssuersPreventTheStart(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*program.Settings){
		"must be https":    withIssuer("http://login.example.org/jwks"),
		"must be https ":   withIssuer("http://127.0.0.1.example.org/jwks"),
		"file:///etc/jwks": withIssuer("file://localhost/etc/jwks"),
		"not a URL":        withIssuer("nonsense"),
		"jwt-issuer":       func(cfg *program.Settings) { cfg.JWKSURL = "https://login.example.org/jwks" },
		"jwt-audience":     func(cfg *program.Settings) { withIssuer("https://login.example.org/jwks")(cfg); cfg.JWTAudience = "" },
		"cannot be combined": func(cfg *program.Settings) {
			withIssuer("https://localhost/jwks")(cfg)
			withKeyFiles(newSigningKey(t, "EdDSA").file(t))(cfg)
		},
	} {
		cfg := harness.Defaults()
		cfg.Addr, cfg.DataDir = "127.0.0.1:0", t.TempDir()
		change(&cfg)
		p, err := program.Start(context.Background(), cfg, harness.ReadSpec(t), slog.New(slog.DiscardHandler))
		if err == nil {
			_ = p.Stop(context.Background())
			t.Errorf("%s: the program started, want an error", says)
		} else if !strings.HasPrefix(says, "file") && !strings.Contains(err.Error(), strings.TrimSpace(says)) {
			t.Errorf("error = %q, want it to contain %q", err, says)
		}
	}
}
