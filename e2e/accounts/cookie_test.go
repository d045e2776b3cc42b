package accounts

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestCookieOpensStreamsOnlyFromOurPages(t *testing.T) {
	t.Parallel()
	const friend = "https://app.example.com"
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Origins = []string{friend} })
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	if a := ada.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).Want(200); harness.CookieOf(t, a.Header) != nil {
		t.Error("a login that did not ask for the cookie set it")
	}
	_, cookie := ada.LoginWithCookie()
	own := p.URL
	host := strings.TrimPrefix(own, "http://")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		browser := p.Visitor(t) // no Authorization
		for _, origin := range []string{own, "https://" + host, friend} {
			if open := browser.Open(over, "room=lobby", cookie, "Origin: "+origin).Opening(); open.User != "ada" {
				t.Errorf("origin %s: user of the stream = %s", origin, open.User)
			}
		}
		for _, origin := range []string{
			"null", "", "http://evil.example", own + ".evil.example", "http://evil.example/" + host, own + "/", strings.ToUpper(own),
			"http://127.0.0.1:1", "http://127.0.0.1", "http://localhost:" + host[strings.Index(host, ":")+1:], "http://user@" + host,
			"http://app.example.com", friend + ":443", friend + ".evil.example", "https://evil.app.example.com", own + ", " + own,
		} {
			browser.Refused(over, "room=lobby", cookie, "Origin: "+origin).WantProblem(403, "bad_origin", "Origin")
		}
		browser.Refused(over, "room=lobby", cookie).WantProblem(403, "bad_origin", "Origin")
		browser.Refused(over, "room=lobby", cookie, "Sec-Fetch-Site: cross-site").WantProblem(403, "bad_origin", "Origin")
		browser.Refused(over, "room=lobby", cookie, "Sec-Fetch-Site: same-site").WantProblem(403, "bad_origin", "Origin")
		browser.Refused(over, "room=lobby", cookie, "Origin: null", "Sec-Fetch-Site: same-origin").WantProblem(403, "bad_origin", "Origin")
		browser.Open(over, "room=lobby", cookie, "Sec-Fetch-Site: same-origin").Opening()
		for _, forged := range []string{"", "1", "1.", "x.y", cookie[len("Cookie: tandem_stream="):len(cookie)-1] + "_", "2" + cookie[len("Cookie: tandem_stream=1"):]} {
			browser.Refused(over, "room=lobby", "Cookie: tandem_stream="+forged, "Origin: "+own).WantProblem(401, "", "")
		}
	})
}

func TestCookieIsAcceptedNowhereElse(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	_, cookie := ada.LoginWithCookie()
	browser := p.Visitor(t)
	for _, call := range []string{"GET /v1/me", "GET /v1/rooms", "PUT /v1/rooms/lobby", "POST /v1/rooms/lobby/messages", "POST /v1/auth/ticket", "POST /v1/auth/logout", "GET /v1/tokens", "DELETE /v1/me"} {
		method, target, _ := strings.Cut(call, " ")
		browser.Do(method, target, harness.Raw("x"), cookie, "Origin: "+p.URL, "Content-Type: text/plain").WantProblem(401, "missing_token", "")
	}
}

func TestCookieLivesAsLongAsItsSession(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	session, cookie := ada.LoginWithCookie()
	browser := p.Visitor(t)
	stream := browser.Open(harness.OverSSE, "", cookie, "Origin: "+p.URL)
	stream.Opening()

	renewed := session.Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": session.RefreshToken}, cookie).Want(200)
	if set := harness.CookieOf(t, renewed.Header); set == nil || cookie != "Cookie: tandem_stream="+set.Value {
		t.Errorf("cookies set by a refresh = %v", set)
	}
	other := ada.Login()
	a := other.Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": other.RefreshToken}, cookie).Want(200)
	if set := harness.CookieOf(t, a.Header); set != nil {
		t.Errorf("another session's refresh sets %v, want none", set)
	}

	gone := session.Do("POST", "/v1/auth/logout", nil, cookie).Want(204)
	if set := harness.CookieOf(t, gone.Header); set == nil || set.MaxAge >= 0 {
		t.Errorf("cookies set by the logout = %v", set)
	}
	stream.WantClose("signed_out")
	browser.Refused(harness.OverSSE, "", cookie, "Origin: "+p.URL).WantProblem(401, "invalid_token", "")
}

// The cookie of a page over TLS is not sent without TLS, also if a proxy terminates it. A trusted proxy says so, or the
// page itself.
func TestCookieIsSecureBehindTLS(t *testing.T) {
	t.Parallel()
	check := func(p *harness.Program, ada *harness.Client, secure bool, headers ...string) {
		t.Helper()
		login := map[string]any{"username": "ada", "password": ada.Password, "cookie": true}
		a := p.Visitor(t).Do("POST", "/v1/auth/login", login, headers...).Want(200)
		if set := harness.CookieOf(t, a.Header); set == nil || set.Secure != secure {
			t.Errorf("headers %q: cookies set by the login = %v", headers, set)
		}
	}
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	check(p, ada, false)
	check(p, ada, false, "X-Forwarded-Proto: https")
	check(p, ada, true, "Origin: https"+strings.TrimPrefix(p.URL, "http"))
	check(p, ada, false, "Origin: "+p.URL)
	check(p, ada, false, "Origin: https://elsewhere.example.com")
	behind := harness.StartProgram(t, func(cfg *program.Settings) { cfg.TrustedProxies = []string{"127.0.0.1"} })
	ada = behind.Signup(t, "ada")
	check(behind, ada, true, "X-Forwarded-Proto: https")
	check(behind, ada, false, "X-Forwarded-Proto: http")
}

// A browser's EventSource reconnects with the same URL, although its ticket is spent: the cookie authenticates it.
func TestSpentTicketContinuesWithTheCookie(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ticket := func() string {
			var made struct{ Ticket string }
			ada.In(t).Do("POST", "/v1/auth/ticket", nil).Want(201).Into(&made)
			return "room=lobby&ticket=" + made.Ticket
		}
		browser := p.Visitor(t)
		for _, from := range []string{"Origin: " + p.URL, "Sec-Fetch-Site: same-origin"} {
			query := ticket()
			first := browser.Open(over, query, from)
			first.Opening()
			set := harness.CookieOf(t, first.Header)
			if set == nil {
				t.Fatalf("%s: no cookie set", from)
			}
			first.Close()
			browser.Refused(over, query, from).WantProblem(401, "invalid_token", "ticket")
			cookie := "Cookie: tandem_stream=" + set.Value
			browser.Open(over, query, from, cookie).Opening()
			browser.Refused(over, query, "Origin: http://evil.example", cookie).WantProblem(403, "bad_origin", "Origin")
		}
		for _, from := range []string{"Origin: http://evil.example", "X-Nothing: of this"} {
			s := browser.Open(over, ticket(), from) // the ticket itself works from any origin
			s.Opening()
			if set := harness.CookieOf(t, s.Header); set != nil {
				t.Errorf("%s: cookie set, want none", from)
			}
		}
	})
}

func TestOtherOriginsMayCallWhenConfigured(t *testing.T) {
	t.Parallel()
	const friend = "https://app.example.com"
	preflight := func(s *harness.Server, origin string) http.Header {
		req, err := http.NewRequest("OPTIONS", s.URL+"/v1/rooms/lobby/messages", nil)
		if err != nil {
			t.Fatal(err)
		}
		harness.AddHeaders(req.Header, []string{"Origin: " + origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,idempotency-key"})
		resp, err := s.HTTP.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header
	}
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Origins = []string{friend} })
	h := preflight(p.Server, friend)
	if h.Get("Access-Control-Allow-Origin") != friend || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Idempotency-Key") || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("preflight response headers = %v", h)
	}
	for _, origin := range []string{"null", "http://app.example.com", friend + ".evil.example", "https://evil.example"} {
		if got := preflight(p.Server, origin).Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("the preflight from %s allows %s, want none", origin, got)
		}
	}
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	if got := ada.Do("GET", "/v1/me", nil, "Origin: "+friend).Want(200).Header.Get("Access-Control-Allow-Origin"); got != friend {
		t.Errorf("Access-Control-Allow-Origin of a response = %q", got)
	}
	if s := ada.Open(harness.OverSSE, "room=lobby", "Origin: "+friend); s.Header.Get("Access-Control-Allow-Origin") != friend {
		t.Errorf("stream's head = %v", s.Header)
	}
	closed := harness.StartProgram(t)
	if got := preflight(closed.Server, friend).Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("without configured origins the preflight allows %s, want none", got)
	}
	for _, bad := range []string{"*", "null", "app.example.com", "https://app.example.com/", "https://App.example.com", "ftp://x", "https://u@x.example"} {
		cfg := harness.Defaults()
		cfg.Addr, cfg.DataDir, cfg.Origins = "127.0.0.1:0", t.TempDir(), []string{bad}
		if running, err := program.Start(t.Context(), cfg, harness.ReadSpec(t), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(fmt.Sprint(err), "origin") {
			t.Errorf("origins %q: %v", bad, err)
			if err == nil {
				_ = running.Stop(t.Context())
			}
		}
	}
}

// A foreign page can send forms, images and fetch requests, to which the browser adds the cookie. Without a preflight
// they must not change anything or log anybody in.
func TestCrossSiteRequestsDoNothing(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	_, cookie := ada.LoginWithCookie()
	victim := p.Visitor(t)
	forms := []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "-"}
	for _, kind := range forms {
		with := []string{cookie, "Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Content-Type: " + kind}
		for _, call := range []string{
			"POST /v1/rooms/lobby/messages", "POST /v1/rooms", "POST /v1/auth/logout", "POST /v1/auth/ticket", "POST /v1/tokens",
			"GET /v1/rooms/lobby/messages", "GET /v1/me", "POST /v1/rooms/lobby/messages?_method=DELETE",
		} {
			method, target, _ := strings.Cut(call, " ")
			victim.Do(method, target, harness.Raw(`{"message":"forged","name":"forged","current_password":"x"}`), with...).WantProblem(401, "missing_token", "")
		}
		a := victim.Do("POST", "/v1/auth/login", harness.Raw(`{"username":"ada","password":"`+ada.Password+`","cookie":true}`), with...)
		a.WantProblem(400, "unsupported_media_type", "Content-Type")
		if harness.CookieOf(t, a.Header) != nil {
			t.Errorf("a form of type %s logged a user in", kind)
		}
		for _, over := range harness.Transports {
			victim.Refused(over, "room=lobby", with...).WantProblem(403, "bad_origin", "Origin")
		}
	}
	if got := ada.History("lobby", "").Items; len(got) != 0 || ada.Dead() {
		t.Errorf("a page of another origin posted %s", harness.Show(got))
	}
	var page struct{ Items []any }
	if ada.Do("GET", "/v1/tokens", nil).Want(200).Into(&page); len(page.Items) != 0 {
		t.Errorf("a page of another origin created %v, want none", page.Items)
	}
}
