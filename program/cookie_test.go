package program

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// cookieOf is the stream cookie that an answer sets, or nil.
func cookieOf(t *testing.T, h http.Header) *http.Cookie {
	t.Helper()
	for _, line := range h.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		if c.Name == "tandem_stream" {
			return c
		}
	}
	return nil
}

// loginWithCookie is another session, and its cookie as a request's header.
func (c *client) loginWithCookie() (*client, string) {
	c.t.Helper()
	other := c.server.visitor(c.t)
	other.password = c.password
	a := other.do("POST", "/v1/auth/login", map[string]any{"username": c.User.Username, "password": c.password, "cookie": true}).want(200).into(&other.session)
	set := cookieOf(c.t, a.header)
	if set == nil || !set.HttpOnly || set.SameSite != http.SameSiteStrictMode || set.Path != "/" || set.MaxAge < 86400 || set.Secure {
		c.t.Fatalf("the login sets %v", set)
	}
	c.server.logs.keepSecret(set.Value)
	return other, "Cookie: tandem_stream=" + set.Value
}

func TestCookieOpensStreamsFromOurOwnPagesAlone(t *testing.T) {
	t.Parallel()
	const friend = "https://app.example.com"
	p := startProgram(t, func(cfg *Settings) { cfg.Origins = []string{friend} })
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	if a := ada.do("POST", "/v1/auth/login", credentials{"ada", ada.password}).want(200); cookieOf(t, a.header) != nil {
		t.Error("a login that does not ask for it sets the cookie")
	}
	_, cookie := ada.loginWithCookie()
	own := p.url
	host := strings.TrimPrefix(own, "http://")
	onEach(t, func(t *testing.T, over transport) {
		browser := p.visitor(t) // no Authorization
		for _, origin := range []string{own, "https://" + host, friend} {
			if open := browser.open(over, "room=lobby", cookie, "Origin: "+origin).opening(); open.User != "ada" {
				t.Errorf("from %s the stream is %s's", origin, open.User)
			}
		}
		for _, origin := range []string{
			"null", "", "http://evil.example", own + ".evil.example", "http://evil.example/" + host, own + "/", strings.ToUpper(own),
			"http://127.0.0.1:1", "http://127.0.0.1", "http://localhost:" + host[strings.Index(host, ":")+1:], "http://user@" + host,
			"http://app.example.com", friend + ":443", friend + ".evil.example", "https://evil.app.example.com", own + ", " + own,
		} {
			browser.refused(over, "room=lobby", cookie, "Origin: "+origin).wantProblem(403, "bad_origin", "Origin")
		}
		browser.refused(over, "room=lobby", cookie).wantProblem(403, "bad_origin", "Origin")
		browser.refused(over, "room=lobby", cookie, "Sec-Fetch-Site: cross-site").wantProblem(403, "bad_origin", "Origin")
		browser.refused(over, "room=lobby", cookie, "Sec-Fetch-Site: same-site").wantProblem(403, "bad_origin", "Origin")
		browser.refused(over, "room=lobby", cookie, "Origin: null", "Sec-Fetch-Site: same-origin").wantProblem(403, "bad_origin", "Origin")
		browser.open(over, "room=lobby", cookie, "Sec-Fetch-Site: same-origin").opening()
		for _, forged := range []string{"", "1", "1.", "x.y", cookie[len("Cookie: tandem_stream="):len(cookie)-1] + "_", "2" + cookie[len("Cookie: tandem_stream=1"):]} {
			browser.refused(over, "room=lobby", "Cookie: tandem_stream="+forged, "Origin: "+own).wantProblem(401, "", "")
		}
	})
}

func TestCookieCountsNowhereElse(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	_, cookie := ada.loginWithCookie()
	browser := p.visitor(t)
	for _, call := range []string{"GET /v1/me", "GET /v1/rooms", "PUT /v1/rooms/lobby", "POST /v1/rooms/lobby/messages", "POST /v1/auth/ticket", "POST /v1/auth/logout", "GET /v1/tokens", "DELETE /v1/me"} {
		method, target, _ := strings.Cut(call, " ")
		browser.do(method, target, raw("x"), cookie, "Origin: "+p.url, "Content-Type: text/plain").wantProblem(401, "missing_token", "")
	}
}

func TestCookieLivesAsLongAsItsSession(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	session, cookie := ada.loginWithCookie()
	browser := p.visitor(t)
	stream := browser.open(overSSE, "", cookie, "Origin: "+p.url)
	stream.opening()

	renewed := session.do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": session.RefreshToken}, cookie).want(200)
	if set := cookieOf(t, renewed.header); set == nil || cookie != "Cookie: tandem_stream="+set.Value {
		t.Errorf("a refresh with the cookie sets %v", set)
	}
	other := ada.login()
	a := other.do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": other.RefreshToken}, cookie).want(200)
	if set := cookieOf(t, a.header); set != nil {
		t.Errorf("another session's refresh sets %v", set)
	}

	gone := session.do("POST", "/v1/auth/logout", nil, cookie).want(204)
	if set := cookieOf(t, gone.header); set == nil || set.MaxAge >= 0 {
		t.Errorf("the logout sets %v", set)
	}
	stream.wantClose("signed_out")
	browser.refused(overSSE, "", cookie, "Origin: "+p.url).wantProblem(401, "invalid_token", "")
}

// A browser's own EventSource repeats its URL, with the ticket that is spent.
func TestSpentTicketGoesOnByTheCookie(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	onEach(t, func(t *testing.T, over transport) {
		ticket := func() string {
			var made struct{ Ticket string }
			ada.in(t).do("POST", "/v1/auth/ticket", nil).want(201).into(&made)
			return "room=lobby&ticket=" + made.Ticket
		}
		browser := p.visitor(t)
		for _, from := range []string{"Origin: " + p.url, "Sec-Fetch-Site: same-origin"} {
			query := ticket()
			first := browser.open(over, query, from)
			first.opening()
			set := cookieOf(t, first.header)
			if set == nil {
				t.Fatalf("%s: no cookie was set", from)
			}
			first.close()
			browser.refused(over, query, from).wantProblem(401, "invalid_token", "ticket")
			cookie := "Cookie: tandem_stream=" + set.Value
			browser.open(over, query, from, cookie).opening()
			browser.refused(over, query, "Origin: http://evil.example", cookie).wantProblem(403, "bad_origin", "Origin")
		}
		for _, from := range []string{"Origin: http://evil.example", "X-Nothing: of this"} {
			s := browser.open(over, ticket(), from) // the ticket itself is good from anywhere
			s.opening()
			if set := cookieOf(t, s.header); set != nil {
				t.Errorf("%s: the cookie was set", from)
			}
		}
	})
}

func TestOtherOriginsMayCallWhenConfigured(t *testing.T) {
	t.Parallel()
	const friend = "https://app.example.com"
	preflight := func(s *testServer, origin string) http.Header {
		req, err := http.NewRequest("OPTIONS", s.url+"/v1/rooms/lobby/messages", nil)
		if err != nil {
			t.Fatal(err)
		}
		addHeaders(req.Header, []string{"Origin: " + origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,idempotency-key"})
		resp, err := s.http.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header
	}
	p := startProgram(t, func(cfg *Settings) { cfg.Origins = []string{friend} })
	h := preflight(p.testServer, friend)
	if h.Get("Access-Control-Allow-Origin") != friend || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Idempotency-Key") || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("the preflight is answered %v", h)
	}
	for _, origin := range []string{"null", "http://app.example.com", friend + ".evil.example", "https://evil.example"} {
		if got := preflight(p.testServer, origin).Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("the preflight from %s allows %s", origin, got)
		}
	}
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	if got := ada.do("GET", "/v1/me", nil, "Origin: "+friend).want(200).header.Get("Access-Control-Allow-Origin"); got != friend {
		t.Errorf("an answer allows %q", got)
	}
	if s := ada.open(overSSE, "room=lobby", "Origin: "+friend); s.header.Get("Access-Control-Allow-Origin") != friend {
		t.Errorf("the stream's head is %v", s.header)
	}
	closed := startProgram(t)
	if got := preflight(closed.testServer, friend).Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("without origins the preflight allows %s", got)
	}
	for _, bad := range []string{"*", "null", "app.example.com", "https://app.example.com/", "https://App.example.com", "ftp://x", "https://u@x.example"} {
		cfg := Defaults()
		cfg.Addr, cfg.DataDir, cfg.Origins = "127.0.0.1:0", t.TempDir(), []string{bad}
		if running, err := Start(t.Context(), cfg, readSpec(t), p.running.logger); err == nil || !strings.Contains(fmt.Sprint(err), "origin") {
			t.Errorf("origins %q: %v", bad, err)
			if err == nil {
				_ = running.Stop(t.Context())
			}
		}
	}
}

// A page of somebody else's has forms, images and fetch at its service, and the browser adds the cookie. What they can
// send without a preflight changes nothing, and signs nobody in as somebody else.
func TestCrossSiteRequestsDoNothing(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	_, cookie := ada.loginWithCookie()
	victim := p.visitor(t)
	forms := []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "-"}
	for _, kind := range forms {
		with := []string{cookie, "Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Content-Type: " + kind}
		for _, call := range []string{
			"POST /v1/rooms/lobby/messages", "POST /v1/rooms", "POST /v1/auth/logout", "POST /v1/auth/ticket", "POST /v1/tokens",
			"GET /v1/rooms/lobby/messages", "GET /v1/me", "POST /v1/rooms/lobby/messages?_method=DELETE",
		} {
			method, target, _ := strings.Cut(call, " ")
			victim.do(method, target, raw(`{"message":"forged","name":"forged","current_password":"x"}`), with...).wantProblem(401, "missing_token", "")
		}
		a := victim.do("POST", "/v1/auth/login", raw(`{"username":"ada","password":"`+ada.password+`","cookie":true}`), with...)
		a.wantProblem(400, "unsupported_media_type", "Content-Type")
		if cookieOf(t, a.header) != nil {
			t.Errorf("a form of type %s signs somebody in", kind)
		}
		for _, over := range transports {
			victim.refused(over, "room=lobby", with...).wantProblem(403, "bad_origin", "Origin")
		}
	}
	if got := ada.history("lobby", "").items; len(got) != 0 || ada.dead() {
		t.Errorf("a page elsewhere posted %s", show(got))
	}
	var page struct{ Items []any }
	if ada.do("GET", "/v1/tokens", nil).want(200).into(&page); len(page.Items) != 0 {
		t.Errorf("a page elsewhere made %v", page.Items)
	}
}
