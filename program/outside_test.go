package program

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
)

func TestOutsideIssuersTokensAreTheWayIn(t *testing.T) {
	t.Parallel()
	for _, alg := range keyAlgorithms {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			k := newIssuerKey(t, alg, "2026-11")
			p := startProgram(t, withIssuer(startIssuer(t, k).url))
			ada := p.bearer(t, k.token(t, outsider("u-1", "Ada")))
			if got := ada.name(); got != "ada" {
				t.Errorf("she is called %q", got)
			}
			ada.enter("lobby")
			ada.post("lobby", "hello")
			// Another token of hers is her, whatever it calls her by now.
			if got := p.bearer(t, k.token(t, outsider("u-1", "adele"))).name(); got != "ada" {
				t.Errorf("with another token she is called %q", got)
			}
			var got struct{ Ticket string }
			ada.do("POST", "/v1/auth/ticket", nil).want(201).into(&got)
			if s := p.visitor(t).open(overSSE, "ticket="+got.Ticket); s.opening().User != "ada" {
				t.Errorf("the ticket's stream is %s's", s.open.User)
			}
			ada.open(overWS, "room=lobby").opening()
			if a := ada.do("GET", "/.well-known/jwks.json", nil).want(200); string(a.body) != `{"keys":[]}` {
				t.Errorf("the JWK Set is %s", a.body)
			}
		})
	}
}

func TestLocalLoginsAreClosedBesideAnOutsideIssuer(t *testing.T) {
	t.Parallel()
	p := startProgram(t, withTestSecret)
	local := p.signup(t, "ada")
	_, cookie := local.loginWithCookie()
	p.stop(t)
	k := newIssuerKey(t, "EdDSA", "k")
	p.settings.JWTIssuer = ""
	withIssuer(startIssuer(t, k).url)(&p.settings)
	p = p.again(t)
	ada := local.on(p.testServer)
	ada.do("POST", "/v1/auth/signup", credentials{"bob", "a good horse battery"}).wantProblem(403, "signup_closed", "")
	ada.do("POST", "/v1/auth/login", credentials{"ada", ada.password}).wantProblem(403, "login_closed", "")
	ada.do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": ada.RefreshToken}).wantProblem(403, "login_closed", "")
	ada.wantDead() // a token of ours
	for _, over := range transports {
		p.visitor(t).refused(over, "", cookie, "Origin: "+p.url).wantProblem(401, "invalid_token", "")
	}
	// One of ours with the issuer's claims is not the issuer's.
	forged := claimsOf(t, local.AccessToken).with("iss", outsideIssuer).with("aud", outsideAudience)
	ada.withToken(forged.sign("HS256", testSecret)).wantDead()
}

// Whoever is disabled here is out, though the issuer's token lasts: verified before or not, its tickets too.
func TestDisabledOutsidersAreOut(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	p := startProgram(t, withIssuer(startIssuer(t, k).url))
	ada := p.bearer(t, k.token(t, outsider("u-1", "ada")))
	other := p.bearer(t, k.token(t, outsider("u-1", "ada").with("jti", 2)))
	var got, bot struct{ Ticket, Token string }
	ada.do("POST", "/v1/auth/ticket", nil).want(201).into(&got)
	ada.do("POST", "/v1/tokens", map[string]string{"name": "bot"}).want(201).into(&bot)
	script := p.bearer(t, bot.Token)
	script.do("GET", "/v1/me", nil).want(200)
	ada.do("POST", "/v1/auth/logout", nil).wantProblem(403, "login_closed", "") // which the issuer alone can do
	stream := ada.open(overSSE, "")
	stream.opening()
	u, err := p.running.store.OutsideUser(t.Context(), outsideIssuer, "u-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.running.store.SetDisabled(t.Context(), u.ID, true, false); err != nil {
		t.Fatal(err)
	}
	stream.wantClose("disabled")
	for _, c := range []*client{ada, other, script} {
		c.do("POST", "/v1/auth/ticket", nil).wantProblem(401, "invalid_token", "")
		c.do("GET", "/v1/rooms", nil).wantProblem(401, "invalid_token", "")
	}
	p.visitor(t).refused(overSSE, "ticket="+got.Ticket).wantProblem(401, "invalid_token", "")
	if err := p.running.store.SetDisabled(t.Context(), u.ID, false, false); err != nil {
		t.Fatal(err)
	}
	if name := ada.name(); name != "ada" {
		t.Errorf("after that she is %q", name)
	}
}

// They have no password here; their issuer's token is all that there is to ask for.
func TestOutsidersDeleteTheirAccounts(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	p := startProgram(t, withIssuer(startIssuer(t, k).url))
	ada := p.bearer(t, k.token(t, outsider("u-1", "ada")))
	ada.name()
	var bot struct{ Token string }
	ada.do("POST", "/v1/tokens", map[string]string{"name": "bot"}).want(201).into(&bot)
	ada.do("PATCH", "/v1/me", map[string]string{"current_password": "!", "password": "a good horse"}).wantProblem(403, "login_closed", "")
	p.bearer(t, bot.Token).do("DELETE", "/v1/me", map[string]string{}).wantProblem(403, "token_scope", "")
	ada.do("DELETE", "/v1/me", map[string]string{}).want(204)
	ada.wantDead()
	p.bearer(t, k.token(t, outsider("u-1", "ada").with("jti", 2))).wantDead()
	if name := p.bearer(t, k.token(t, outsider("u-2", "ada"))).name(); name != "ada-2" {
		t.Errorf("the next ada is called %q", name)
	}
	if name := p.bearer(t, k.token(t, outsider("u-3", "аԁа"))).name(); name != "аԁа-3" { // Cyrillic
		t.Errorf("who only looks like her is called %q", name)
	}
}

// A browser's own EventSource comes back by the cookie here too, as long as the token that asked would last.
func TestOutsidersGetTheStreamCookie(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	p := startProgram(t, withIssuer(startIssuer(t, k).url))
	ada := p.bearer(t, k.token(t, outsider("u-1", "ada").expiring(10*time.Minute)))
	ticket := func() string {
		var got struct{ Ticket string }
		ada.do("POST", "/v1/auth/ticket", nil).want(201).into(&got)
		return "ticket=" + got.Ticket
	}
	browser, query := p.visitor(t), ticket()
	first := browser.open(overSSE, query, "Origin: "+p.url)
	set := cookieOf(t, first.header)
	if set == nil || !set.HttpOnly || set.SameSite != http.SameSiteStrictMode || set.MaxAge < 500 || set.MaxAge > 600 {
		t.Fatalf("the ticket's stream sets %v", set)
	}
	p.logs.keepSecret(set.Value)
	cookie := "Cookie: tandem_stream=" + set.Value
	if name := browser.open(overWS, query, "Origin: "+p.url, cookie).opening().User; name != "ada" {
		t.Errorf("the cookie's stream is %s's", name)
	}
	browser.refused(overSSE, "", cookie, "Origin: http://evil.example").wantProblem(403, "bad_origin", "Origin")
	browser.do("GET", "/v1/me", nil, cookie, "Origin: "+p.url).wantProblem(401, "missing_token", "")
	part := strings.Split(set.Value, ".")
	for _, forged := range [][]string{
		{part[0], "2" + part[1], part[2], part[3]}, {part[0], part[1], part[2] + "0", part[3]}, {part[0], part[1], part[2], ""}, {part[0], part[1], part[2]},
	} {
		browser.refused(overSSE, "", "Cookie: tandem_stream="+strings.Join(forged, "."), "Origin: "+p.url).wantProblem(401, "invalid_token", "")
	}
	if s := browser.open(overSSE, ticket(), "Origin: http://evil.example"); cookieOf(t, s.header) != nil {
		t.Error("a page from elsewhere gets the cookie")
	}
	ada.do("DELETE", "/v1/me", map[string]string{}).want(204)
	browser.refused(overSSE, "", cookie, "Origin: "+p.url).wantProblem(401, "invalid_token", "")
}

// Names never lead to an account: who was here stays who they are.
func TestOutsidersNeverReachALocalAccount(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	local := p.signup(t, "ada")
	local.enter("lobby")
	own := local.post("lobby", "mine")
	p.stop(t)
	k := newIssuerKey(t, "EdDSA", "k")
	withIssuer(startIssuer(t, k).url)(&p.settings)
	p = p.again(t)

	sub := fmt.Sprint(claimsOf(t, local.AccessToken)["sub"]) // her number, as a token of ours has it
	names := map[string]bool{}
	for i, c := range []claims{
		outsider("u-1", "ada"), outsider("u-2", "ADA"), outsider("u-3", "ａｄａ"), outsider("ada", ""),
		outsider(sub, "ada"), outsider("u-6", "").with("name", "Ada"), outsider("u-7", "").with("email", "ada@example.org"),
		outsider("u-8", "ada").with("sid", 1).with("name", "ada").with("role", "admin").with("admin", true),
	} {
		other := p.bearer(t, k.token(t, c))
		name := other.name()
		if want := fmt.Sprintf("ada-%d", i+2); name != want {
			t.Errorf("%v is called %q, not %q", c, name, want)
		}
		if names[name] {
			t.Errorf("two are called %q", name)
		}
		names[name] = true
		var me struct{ Role string }
		if other.do("GET", "/v1/me", nil).into(&me); me.Role != "user" {
			t.Errorf("%v is %s", c, me.Role)
		}
	}
	// A local user of a suffixed name is as safe.
	if got := p.bearer(t, k.token(t, outsider("u-9", "ada-2"))).name(); got == "ada-2" || got == "ada" {
		t.Errorf("the second ada-2 is called %q", got)
	}
	// The same subject of another issuer is somebody else.
	p.stop(t)
	p.settings.JWTIssuer = "https://another.example.org/"
	p = p.again(t)
	if got := p.bearer(t, k.token(t, outsider("u-1", "eve").with("iss", p.settings.JWTIssuer))).name(); got != "eve" {
		t.Errorf("another issuer's u-1 is %q", got)
	}
	// Without the issuer, ada is who she was, and no outsider has a password.
	p.stop(t)
	p.settings.JWKSURL, p.settings.JWTIssuer, p.settings.JWTAudience = "", Defaults().JWTIssuer, Defaults().JWTAudience
	p = p.again(t)
	again := p.visitor(t)
	again.do("POST", "/v1/auth/login", credentials{"ada", local.password}).want(200).into(&again.session)
	if got := again.wholeHistory("lobby"); len(got) != 1 || got[0].ID != own.ID {
		t.Errorf("her history is %s", show(got))
	}
	for name := range names {
		for _, password := range []string{"", "!", strings.Repeat("\x00", 32), "correct horse of ada"} {
			again.do("POST", "/v1/auth/login", credentials{name, password}).wantProblem(401, "bad_credentials", "")
		}
	}
}

func TestNamesOfOutsiders(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	p := startProgram(t, withIssuer(startIssuer(t, k).url))
	who := func(c claims) string { t.Helper(); return p.bearer(t, k.token(t, c)).name() }
	for i, test := range []struct {
		claims claims
		want   string
	}{
		{outsider("s1", "Мария"), "мария"},
		{outsider("s2", "grace@example.org"), "grace"},
		{outsider("s3", "").with("name", "Ada Lovelace"), "ada-lovelace"},
		{outsider("s4", "💥").with("name", "Barbara"), "barbara"},
		{outsider("s5", "").with("name", 7).with("email", "edsger@example.org"), "edsger"},
		{outsider("auth0|5f7c8ec7", ""), "auth0-5f7c8ec7"},
		{outsider("💥", "  "), "user"},
		{outsider("💥💥", "\u0000"), "user-2"},
		{outsider("s9", strings.Repeat("a", 40)), strings.Repeat("a", 32)},
		{outsider("s10", strings.Repeat("a", 40)), strings.Repeat("a", 30) + "-2"},
		{outsider("s11", "..."), "s11"},
		{outsider("s12", strings.Repeat("x", 20_000)), strings.Repeat("x", 32)},
		{outsider("s13", "שלום"), "שלום"},
		{outsider("s14", "שלום"), ""}, // whatever a suffix makes of a name from right to left
		{outsider("s15", "Admin"), "admin-2"},
		{outsider("s16", "adrnin"), "adrnin-3"}, // adrnin-2 looks like the one before
		{outsider("s17", "علی\u200cرضا"), "علی\u200cرضا"},
		{outsider("s18", "علی\u200cرضا نوری"), "علی\u200cرضا-نوری"},
		{outsider("s19", "Ada\u200c\u200dL"), "adal"},
	} {
		if got := who(test.claims); got != test.want && test.want != "" {
			t.Errorf("%d is called %q, not %q", i, got, test.want)
		}
	}
	for i := range 60 { // more than are numbered
		who(outsider(fmt.Sprintf("m-%d", i), "mallory"))
	}
}

// First seen by many requests at once, somebody is one user.
func TestOutsiderIsProvisionedOnce(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "ES256", "k")
	p := startProgram(t, withIssuer(startIssuer(t, k).url))
	var wrong atomic.Int32
	inParallel(24, func(i int) {
		c := p.bearer(t, k.token(t, outsider(fmt.Sprintf("u-%d", i%2), fmt.Sprintf("twin%d", i%2))))
		a, err := c.try("GET", "/v1/me", nil)
		if err != nil || !strings.Contains(string(a.body), fmt.Sprintf(`"twin%d"`, i%2)) {
			wrong.Add(1)
		}
	})
	if wrong.Load() > 0 {
		t.Errorf("%d of 24 were somebody else", wrong.Load())
	}
	db := openDatabase(t, p.settings.DataDir)
	var users, outside int
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM outside_users)`).Scan(&users, &outside); err != nil {
		t.Fatal(err)
	}
	if users != 2 || outside != 2 {
		t.Errorf("there are %d users, %d of them outside", users, outside)
	}
}

func TestSubjectsThatAreNone(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	p := startProgram(t, withIssuer(startIssuer(t, k).url))
	exp := time.Now().Add(time.Minute).Unix()
	payload := func(rest string) raw {
		return raw(fmt.Sprintf(`{"iss":%q,"aud":%q,"exp":%d,%s}`, outsideIssuer, outsideAudience, exp, rest))
	}
	for name, c := range map[string]any{
		"none": outsider(nil, "x").with("sub", nil), "null": payload(`"sub":null`), "a number": outsider(17, "x"), "true": outsider(true, "x"),
		"a list": outsider([]string{"ada"}, "x"), "an object": payload(`"sub":{}`), "empty": outsider("", "x"),
		"too long": outsider(strings.Repeat("s", 256), "x"), "a NUL": outsider("a\x00b", "x"), "a line break": outsider("a\nb", "x"),
		"half a surrogate pair": payload(`"sub":"\ud800"`), "the other half": payload(`"sub":"\ud801"`),
		"SUB in capitals": payload(`"SUB":"ada"`), "no claims": raw(`[]`), "null claims": raw(`null`),
	} {
		t.Run(name, func(t *testing.T) { p.bearer(t, k.token(t, c)).wantDead() })
	}
	// Subjects are compared byte for byte, and a claim SUB beside sub is another claim.
	first := p.bearer(t, k.token(t, outsider("Case", "casey"))).name()
	for i, c := range []any{
		outsider("case", "casey"), outsider("Case ", "casey"), outsider(" Case", "casey"), outsider("Ｃase", "casey"), outsider("Case%", "casey"),
		payload(`"sub":"other","SUB":"Case","Sub":"Case","preferred_username":"casey"`),
		payload(`"sub":"' OR 1=1 --","preferred_username":"casey"`),
		outsider(strings.Repeat("s", 255), "casey"), outsider("e\u0301", "casey"), outsider("\u00e9", "casey"),
	} {
		if got, want := p.bearer(t, k.token(t, c)).name(), fmt.Sprintf("casey-%d", i+2); got != want {
			t.Errorf("%v is %q, not %q", c, got, want)
		}
	}
	if got := p.bearer(t, k.token(t, outsider("Case", "casey").with("jti", "2"))).name(); got != first {
		t.Errorf("the first is %q now, and was %q", got, first)
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
	p := startProgram(t, withIssuer(i.url))
	good := outsider("u-1", "ada")
	for _, k := range []*signingKey{rsaKey, ecKey} { // so that the refusals below are for what they say
		p.bearer(t, k.token(t, good)).do("GET", "/v1/me", nil).want(200)
	}
	p.bearer(t, rsaKey.token(t, good.with("aud", []string{"other", outsideAudience}))).do("GET", "/v1/me", nil).want(200)
	p.bearer(t, rsaKey.token(t, good.expiring(-20*time.Second))).do("GET", "/v1/me", nil).want(200) // within the leeway
	for _, test := range []struct{ name, token string }{
		{"alg none", good.sign("none", "")},
		{"alg none under a kid", unsigned(rsaKey.token(t, good, "alg", "none"))},
		{"HS256 under the public key's PEM", hmacToken(t, rsaKey.publicPEM(t), good, "kid", "rsa")},
		{"HS256 under the set's secret", hmacToken(t, secret, good, "kid", "secret")},
		{"a foreign key", foreign.token(t, good)},
		{"a foreign key under a known kid", foreign.token(t, good, "kid", "rsa")},
		{"a foreign key that comes along as jwk", foreign.token(t, good, "jwk", foreign.jwk(t))},
		{"a foreign key behind jku", foreign.token(t, good, "jku", trap.url)},
		{"the same under a known kid", foreign.token(t, good, "kid", "rsa", "jku", trap.url, "x5u", trap.url)},
		{"the kid of the other kind of key", rsaKey.token(t, good, "kid", "ec")},
		{"another algorithm of the same kind", rsaKey.token(t, good, "alg", "RS512")},
		{"no kid", rsaKey.token(t, good, "kid", nil)},
		{"a key without a kid", unnamed.token(t, good, "kid", nil)},
		{"the same under an empty one", unnamed.token(t, good)},
		{"a key for encryption", encrypting.token(t, good)},
		{"a weak key", weak.token(t, good)},
		{"crit", rsaKey.token(t, good, "crit", []string{"b64"}, "b64", false)},
		{"another iss", rsaKey.token(t, good.with("iss", "https://evil.example.org/"))},
		{"an iss that begins alike", rsaKey.token(t, good.with("iss", outsideIssuer+"x"))},
		{"no iss", rsaKey.token(t, good.with("iss", nil))},
		{"another aud", rsaKey.token(t, good.with("aud", "other"))},
		{"no aud", rsaKey.token(t, good.with("aud", nil))},
		{"an empty list of aud", rsaKey.token(t, good.with("aud", []string{}))},
		{"no exp", rsaKey.token(t, good.with("exp", nil))},
		{"exp as text", rsaKey.token(t, good.with("exp", "4102444800"))},
		{"exp beyond time", rsaKey.token(t, good.with("exp", 1e18))},
		{"not yet", rsaKey.token(t, good.with("nbf", time.Now().Add(time.Hour).Unix()))},
	} {
		t.Run(test.name, func(t *testing.T) { p.bearer(t, test.token).wantDead() })
	}
	p.bearer(t, rsaKey.token(t, good.expiring(-40*time.Second))).do("GET", "/v1/me", nil).wantProblem(401, "token_expired", "")
	if trap.fetched() > 0 {
		t.Error("the server fetched a forger's keys")
	}
	// Hundreds of unknown kids are a few fetches.
	if n := i.fetched(); n > 6 {
		t.Errorf("forged tokens made the server fetch the keys %d times", n)
	}
}

func TestIssuerRotatesItsKeys(t *testing.T) {
	t.Parallel()
	former, latter := newIssuerKey(t, "RS256", "former"), newIssuerKey(t, "ES256", "latter")
	i := startIssuer(t, former)
	p := startProgram(t, withIssuer(i.url))
	ada := p.bearer(t, former.token(t, outsider("u-1", "ada")))
	ada.do("GET", "/v1/me", nil).want(200)
	i.publish(t, latter, former)
	// Many come with the new key at once, and it is fetched once.
	before := i.fetched()
	inParallel(16, func(n int) {
		c := p.bearer(t, latter.token(t, outsider("u-1", "ada").with("jti", n)))
		if a, err := c.try("GET", "/v1/me", nil); err != nil || a.status != 200 {
			t.Errorf("a token of the new key: %d, %v", a.status, err)
		}
	})
	if n := i.fetched() - before; n > 2 {
		t.Errorf("the new key was fetched %d times", n)
	}
	ada.do("GET", "/v1/me", nil).want(200)
	// The old key goes; once the server has seen that, its tokens are dead, those too that it had verified before.
	i.publish(t, latter)
	p.bearer(t, latter.token(t, outsider("u-1", "ada"), "kid", "unknown")).do("GET", "/v1/me", nil).wantProblem(401, "invalid_token", "")
	ada.wantDead()
}

func TestIssuerThatIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	k := newIssuerKey(t, "EdDSA", "k")
	address := freeAddress(t)
	p := startProgram(t, withIssuer("http://"+address+"/jwks"))
	ada := p.bearer(t, k.token(t, outsider("u-1", "ada")))
	ada.do("GET", "/readyz", nil).want(200)
	ada.do("GET", "/v1/me", nil).wantProblem(503, "unavailable", "") // nobody can tell yet: 401 would sign her out
	ada.withToken(outsider("u-1", "ada").sign("none", "")).do("GET", "/v1/me", nil).wantProblem(401, "invalid_token", "")
	startIssuerAt(t, address, k)
	deadline := time.Now().Add(patience)
	for {
		a, err := ada.try("GET", "/v1/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the issuer is back, and the answer still %d", a.status)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// What the issuer answers cannot hurt: the keys read before go on to count.
func TestIssuerThatAnswersNonsense(t *testing.T) {
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
			p := startProgram(t, withIssuer(i.url))
			ada := p.bearer(t, k.token(t, outsider("u-1", "ada")))
			ada.do("GET", "/v1/me", nil).want(200)
			i.answers(answer)
			before := i.fetched()
			p.bearer(t, k.token(t, outsider("u-1", "ada"), "kid", "unknown")).do("GET", "/v1/me", nil).wantProblem(401, "invalid_token", "")
			if i.fetched() == before {
				t.Error("it was not asked")
			}
			ada.do("GET", "/v1/me", nil).want(200)
			p.bearer(t, k.token(t, outsider("u-1", "ada").with("jti", 2))).do("GET", "/v1/me", nil).want(200)
		})
	}
}

func TestIssuersThatDoNotDoStopTheStart(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*Settings){
		"must be https":    withIssuer("http://login.example.org/jwks"),
		"must be https ":   withIssuer("http://127.0.0.1.example.org/jwks"),
		"file:///etc/jwks": withIssuer("file://localhost/etc/jwks"),
		"no URL":           withIssuer("nonsense"),
		"jwt-issuer":       func(cfg *Settings) { cfg.JWKSURL = "https://login.example.org/jwks" },
		"jwt-audience":     func(cfg *Settings) { withIssuer("https://login.example.org/jwks")(cfg); cfg.JWTAudience = "" },
		"nothing to sign": func(cfg *Settings) {
			withIssuer("https://localhost/jwks")(cfg)
			withKeyFiles(newSigningKey(t, "EdDSA").file(t))(cfg)
		},
	} {
		cfg := Defaults()
		cfg.Addr, cfg.DataDir = "127.0.0.1:0", t.TempDir()
		change(&cfg)
		p, err := Start(context.Background(), cfg, readSpec(t), slog.New(slog.DiscardHandler))
		if err == nil {
			_ = p.Stop(context.Background())
			t.Errorf("%s: it started", says)
		} else if !strings.HasPrefix(says, "file") && !strings.Contains(err.Error(), strings.TrimSpace(says)) {
			t.Errorf("the error %q does not say %q", err, says)
		}
	}
}
