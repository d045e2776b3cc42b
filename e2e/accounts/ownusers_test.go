package accounts

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestBackendGetsSessionsForItsUsers(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin, func(cfg *program.Settings) { cfg.Signup = "closed" })
	root, backend := p.Backend(t)
	backend.SessionFor(map[string]any{"username": "ada"}).WantProblem(404, "user_not_found", "username")
	backend.SessionFor(map[string]any{"username": "ada", "create": false}).WantProblem(404, "user_not_found", "username")

	ada := backend.SessionFor(map[string]any{"username": "Ada", "display_name": "Ada Lovelace", "create": true}).Want(201).As(p.Server)
	if ada.User.Username != "ada" || ada.User.Role != "user" {
		t.Errorf("user of the session = %+v", ada.User)
	}
	ada.Enter("lobby")
	again := backend.SessionFor(map[string]any{"username": "ada"}).Want(200).As(p.Server)
	s := again.Refresh().Open(harness.OverWS, "room=lobby")
	s.Opening()
	ada.Post("lobby", "hi")
	s.Message("hi")

	// A new display name is announced; an unchanged one is not.
	name := func() string {
		var person struct {
			DisplayName string `json:"display_name"`
		}
		root.Do("GET", "/v1/users/ada", nil).Want(200).Into(&person)
		return person.DisplayName
	}
	if got := name(); got != "Ada Lovelace" {
		t.Errorf("display name = %q, want \"Ada Lovelace\"", got)
	}
	backend.SessionFor(map[string]any{"username": "ada", "display_name": "Ada Lovelace", "create": true}).Want(200)
	backend.SessionFor(map[string]any{"username": "ada", "display_name": "Countess"}).Want(200)
	if e := s.Must("user_updated"); e.User != "ada" || name() != "Countess" {
		t.Errorf("got %s for the display name %q", e.Raw, name())
	}
	ada.Post("lobby", "the end")
	s.Message("the end") // Must fails on an unexpected user_updated before it

	// Accounts created by a backend have no password to log in with, and an admin cannot set one.
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "correct horse"}).WantProblem(401, "bad_credentials", "")
}

// Users that a backend cannot become, and names that nobody can have.
func TestSessionsABackendCannotGet(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	root, backend := p.Backend(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	backend.SessionFor(map[string]any{"username": "admin"}).WantProblem(403, "forbidden", "")
	root.ChangeAccount("bob", map[string]any{"disabled": true}).Want(200)
	backend.SessionFor(map[string]any{"username": "bob", "create": true}).WantProblem(403, "forbidden", "")
	bob.Password = ""
	for _, name := range []string{"support", "аda"} { // with a Cyrillic letter
		got := backend.SessionFor(map[string]any{"username": name, "create": true})
		if got.Status != 400 && got.Status != 409 {
			t.Errorf("name %q: got %d %s", name, got.Status, got.Body)
		}
	}
	backend.SessionFor(map[string]any{"username": "support", "create": true}).WantProblem(409, "username_taken", "username")
	backend.SessionFor(map[string]any{"username": "а\u0434\u0430", "create": true}).Want(201)
	backend.SessionFor(map[string]any{"username": "a", "create": true}).WantProblem(400, "invalid_request", "username")
	backend.SessionFor(map[string]any{"username": "carl", "create": true, "display_name": "a\u202eb"}).WantProblem(400, "invalid_request", "display_name")
	backend.SessionFor(map[string]any{"username": "carl"}).WantProblem(404, "user_not_found", "username") // nothing was created
	backend.SessionFor(map[string]any{"create": true}).WantProblem(400, "invalid_request", "username")

	// When a user becomes an admin, sessions that a backend created for them end; their own continue.
	had := backend.SessionFor(map[string]any{"username": "ada"}).Want(200).As(p.Server)
	s := had.Open(harness.OverSSE, "")
	s.Opening()
	root.ChangeAccount("ada", map[string]any{"role": "admin"}).Want(200)
	s.WantClose("signed_out")
	harness.Eventually(t, "the session ends", had.Dead)
	p.Visitor(t).Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": had.RefreshToken}).Want(401)
	ada.Do("GET", "/v1/admin/stats", nil).Want(200)

	// The token's owner is no longer an admin.
	root.ChangeAccount("ada", map[string]any{"role": "user"}).Want(200)
	root.ChangeAccount("ada", map[string]any{"role": "admin"}).Want(200)
	adas := ada.Token(map[string]any{"name": "shop", "scopes": []string{"sessions"}})
	adas.SessionFor(map[string]any{"username": "dora", "create": true}).Want(201)
	root.ChangeAccount("ada", map[string]any{"role": "user"}).Want(200)
	adas.SessionFor(map[string]any{"username": "dora"}).WantProblem(403, "forbidden", "")
}

// A token with the scope sessions can do nothing else, and no other token can do that.
func TestSessionsScope(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	root, backend := p.Backend(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for path, item := range harness.Contract().Paths.Map() {
		for method, operation := range item.Operations() {
			needsNone := operation.Security != nil && len(*operation.Security) == 0
			if needsNone || path == "/v1/admin/sessions" || strings.HasPrefix(path, "/ws/") {
				continue
			}
			target := strings.NewReplacer("{room}", "lobby", "{username}", "ada", "{emoji}", "x", "{id}", "1").Replace(path)
			if strings.HasPrefix(path, "/v1/files/{id}") {
				target = strings.Replace(path, "{id}", "AAAAAAAAAAAAAAAAAAAAAA", 1)
			}
			backend.Do(method, target, nil).WantProblem(403, "token_scope", "")
		}
	}
	for _, over := range harness.Transports {
		backend.Refused(over, "room=lobby").WantProblem(403, "token_scope", "")
	}
	all := root.Token(map[string]any{"name": "all"})
	for _, c := range []*harness.Client{root, ada, all} {
		c.SessionFor(map[string]any{"username": "ada"}).WantProblem(403, "token_scope", "")
	}
	p.Visitor(t).SessionFor(map[string]any{"username": "ada"}).WantProblem(401, "missing_token", "")

	ada.Do("POST", "/v1/tokens", map[string]any{"name": "x", "scopes": []string{"sessions"}}).WantProblem(403, "forbidden", "")
	for _, scopes := range []any{[]string{}, []string{"everything"}, "sessions", []string{"sessions", "sessions"}} {
		root.Do("POST", "/v1/tokens", map[string]any{"name": "x", "scopes": scopes}).WantProblem(400, "invalid_request", "")
	}
	root.Do("POST", "/v1/tokens", map[string]any{"name": "x", "scopes": []string{"sessions"}, "rooms": []string{"lobby"}}).WantProblem(400, "invalid_request", "rooms")
	if listed := root.Do("GET", "/v1/tokens", nil).Want(200).Body; strings.Count(string(listed), `"scopes":["sessions"]`) != 1 {
		t.Errorf("list = %s", listed)
	}
	root.Do("DELETE", "/v1/tokens/"+backend.RefreshToken, nil).Want(204)
	backend.SessionFor(map[string]any{"username": "ada"}).WantProblem(401, "invalid_token", "")
}

// Many concurrent requests for the same new user, on any node, return the same user; one of them creates it.
func TestConcurrentBackendsCreateOneUser(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	_, backend := p.Backend(t)
	got := harness.ManyAtOnce(t, 32, func(int) (harness.Answer, error) {
		return backend.Try("POST", "/v1/admin/sessions", map[string]any{"username": "ada", "display_name": "Ada", "create": true})
	})
	if got[201] != 1 || got[200] != 31 {
		t.Errorf("of 32 concurrent requests: %v", got)
	}
	var all struct{ Items []struct{ Username string } }
	p.Admin(t).Do("GET", "/v1/admin/users", nil).Want(200).Into(&all)
	if len(all.Items) != 2 {
		t.Errorf("accounts = %v", all.Items)
	}
}

// The limit is per user, so a backend with many users has no limit of its own. It is separate from the limit on
// password guesses.
func TestSessionsAreLimitedByUser(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin, func(cfg *program.Settings) { cfg.LimitLogins = 3 })
	_, backend := p.Backend(t)
	backend.SessionFor(map[string]any{"username": "ada", "create": true}).Want(201)
	for range 3 {
		p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "a wrong one"}).Want(401)
	}
	backend.SessionFor(map[string]any{"username": "ada"}).Want(200)
	backend.SessionFor(map[string]any{"username": "ada"}).Want(200)
	backend.SessionFor(map[string]any{"username": "ada"}).WantProblem(429, "rate_limited", "")
	backend.SessionFor(map[string]any{"username": "bob", "create": true}).Want(201)
}

func TestAdminCreatesAccounts(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin, func(cfg *program.Settings) { cfg.Signup = "closed" })
	root, backend := p.Backend(t)
	create := func(c *harness.Client, body map[string]any) harness.Answer {
		return c.Do("POST", "/v1/admin/users", body)
	}
	var made struct {
		Username, Role string
		CreatedAt      string `json:"created_at"`
	}
	create(root, map[string]any{"username": "Ada", "password": "correct horse", "display_name": "Ada L."}).Want(201).Into(&made)
	if made.Username != "ada" || made.Role != "user" || made.CreatedAt == "" {
		t.Errorf("created account: got %+v, want ada with role user", made)
	}
	ada := p.Visitor(t)
	ada.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "correct horse"}).Want(200).Into(&ada.Session)
	if body := ada.Do("GET", "/v1/me", nil).Want(200).Body; !bytes.Contains(body, []byte(`"display_name":"Ada L."`)) {
		t.Errorf("user ada = %s", body)
	}
	create(root, map[string]any{"username": "bob"}).Want(201)
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "bob", Password: ""}).WantProblem(401, "bad_credentials", "")
	backend.SessionFor(map[string]any{"username": "bob"}).Want(200)

	create(ada, map[string]any{"username": "carl"}).WantProblem(403, "forbidden", "")
	create(backend, map[string]any{"username": "carl"}).WantProblem(403, "token_scope", "")
	create(root, map[string]any{"username": "ADA"}).WantProblem(409, "username_taken", "username")
	create(root, map[string]any{"username": "support"}).WantProblem(409, "username_taken", "username")
	got := create(root, map[string]any{"username": "!", "password": "short", "display_name": "\u200b"}).WantProblem(400, "invalid_request", "username")
	if !got.Names("password") || !got.Names("display_name") {
		t.Errorf("problem errors = %v", got.Errors)
	}
}

func TestSessionList(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin, func(cfg *program.Settings) { cfg.TrustedProxies = []string{"127.0.0.1"} })
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	ada.Token(map[string]any{"name": "bot"}) // not a login
	_, backend := p.Backend(t)
	at := func(agent, address string) *harness.Client {
		c := p.Visitor(t)
		c.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}, "User-Agent: "+agent, "X-Forwarded-For: "+address).Want(200).Into(&c.Session)
		return c
	}
	firefox := at("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "192.0.2.7")
	phone := at("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1", "2001:db8::1")
	at("Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36", "192.0.2.8")
	at("curl/8.5.0", "192.0.2.9")
	at("", "192.0.2.9")
	at("\xff<b>"+strings.Repeat("x", 9000), "192.0.2.9")
	backend.SessionFor(map[string]any{"username": "ada"}).Want(200)

	all, next := phone.Logins("")
	var got []string
	for _, l := range all {
		got = append(got, l.Device+" at "+l.Address)
		if l.Current != (l.Device == "Safari on iPhone") || l.CreatedAt == "" || l.LastSeen < l.CreatedAt {
			t.Errorf("session = %+v", l)
		}
	}
	want := []string{
		"Go-http-client at 127.0.0.1", "Firefox on Windows at 192.0.2.7", "Safari on iPhone at 2001:db8::1", "Chrome on Android at 192.0.2.8",
		"curl at 192.0.2.9", "Unknown device at 192.0.2.9", "Unknown device at 192.0.2.9", "Unknown device at ",
	}
	if show, wanted := asJSONText(got), asJSONText(want); show != wanted || next != nil {
		t.Errorf("list =\n%s, want\n%s; next = %v", show, wanted, next)
	}
	page, next := phone.Logins("?limit=3")
	if len(page) != 3 || next == nil || *next != page[2].ID {
		t.Errorf("page = %v, %v", page, next)
	}
	if rest, _ := phone.Logins("?limit=100&after=" + asJSONText(*next)); len(rest) != len(all)-3 || rest[0].ID != all[3].ID {
		t.Errorf("next page = %v", rest)
	}

	// A refresh updates the session's address and user agent.
	var moved harness.Session
	p.Visitor(t).Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": firefox.RefreshToken}, "User-Agent: curl/8", "X-Forwarded-For: 198.51.100.1").Want(200).Into(&moved)
	if all, _ := phone.Logins(""); all[1].Device != "curl" || all[1].Address != "198.51.100.1" || all[1].LastSeen <= all[1].CreatedAt {
		t.Errorf("session after a refresh = %+v", all[1])
	}
	firefox.Session = moved

	// Ending a session ends its streams on every transport.
	path := func(l harness.Login) string { return "/v1/me/sessions/" + asJSONText(l.ID) }
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		other := ada.In(t).Login()
		stays, ends := ada.In(t).Open(over, "room=lobby"), other.Open(over, "room=lobby")
		stays.Opening()
		ends.Opening()
		all, _ := other.Logins("")
		for _, l := range all {
			if l.Current {
				ada.In(t).Do("DELETE", path(l), nil).Want(204)
				ada.In(t).Do("DELETE", path(l), nil).WantProblem(404, "session_not_found", "id")
			}
		}
		ends.WantClose("signed_out")
		if !other.Dead() {
			t.Error("access token of the ended session is still accepted")
		}
		other.Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": other.RefreshToken}, "Authorization: -").Want(401)
		ada.In(t).Post("lobby", "on "+string(over))
		stays.UntilMessage("on " + string(over))
	})

	bob.Do("DELETE", path(all[1]), nil).WantProblem(404, "session_not_found", "id")
	tokens := struct{ Items []struct{ ID int64 } }{}
	ada.Do("GET", "/v1/tokens", nil).Want(200).Into(&tokens)
	ada.Do("DELETE", path(harness.Login{ID: tokens.Items[0].ID}), nil).WantProblem(404, "session_not_found", "id")
	ada.Do("DELETE", "/v1/me/sessions/0", nil).WantProblem(400, "invalid_request", "id")
	firefox.Do("GET", "/v1/me", nil).Want(200)
	firefox.Do("DELETE", path(all[1]), nil).Want(204) // its own session
	if !firefox.Dead() {
		t.Error("the session that deleted itself is still accepted")
	}
}

func asJSONText(v any) string {
	b, _ := json.Marshal(v) // numbers and strings always marshal
	return string(b)
}
