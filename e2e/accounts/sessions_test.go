package accounts

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestLogoutEndsTheSessionItsTokensAndItsStreams(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Do("PUT", "/v1/rooms/lobby", nil).Want(201)
	phone := ada.Login()
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		session := ada.In(t).Login()
		ticket := session.Do("POST", "/v1/auth/ticket", nil).Want(201)
		s := session.Open(over, "room=lobby")
		other := phone.In(t).Open(over, "room=lobby")
		p.AwaitPolls(t, over, 2)
		session.Do("POST", "/v1/auth/logout", nil).Want(204)
		if !session.Dead() {
			t.Error("the access token is accepted after the logout")
		}
		s.WantClose("signed_out")
		session.Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": session.RefreshToken}).WantProblem(401, "invalid_token", "")
		var made struct{ Ticket string }
		ticket.Into(&made)
		p.Visitor(t).Do("GET", "/v1/events?ticket="+made.Ticket, nil).WantProblem(401, "invalid_token", "")
		// The other session and its stream continue.
		phone.In(t).Post("lobby", "still here over "+string(over))
		other.UntilMessage("still here over " + string(over))
	})
}

func TestChangedPasswordEndsTheOtherSessions(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	phone, token := ada.Login(), ada.Token(map[string]any{"name": "bot"})
	stream := phone.Open(harness.OverSSE, "")
	change := func(c *harness.Client, current, next string) harness.Answer {
		return c.Do("PATCH", "/v1/me", map[string]string{"current_password": current, "password": next})
	}
	change(ada, "wrong horse", "another horse").WantProblem(403, "wrong_password", "")
	change(ada, ada.Password, "short").WantProblem(400, "invalid_request", "password")
	if phone.Dead() {
		t.Fatal("a refused password change ended a session")
	}
	p.Logs.KeepSecret("another horse")
	change(ada, ada.Password, "another horse").Want(200)
	if !phone.Dead() || ada.Dead() || token.Dead() {
		t.Error("want exactly the other sessions ended")
	}
	stream.WantClose("signed_out")
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).WantProblem(401, "bad_credentials", "")
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "another horse"}).Want(200)
}

func TestDeletedAccountKeepsItsNameReserved(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("PUT", "/v1/rooms/lobby", nil).Want(201)
	id := ada.Post("lobby", "I was here")
	phone, token := ada.Login(), ada.Token(map[string]any{"name": "bot"})
	others := bob.Open(harness.OverSSE, "room=lobby")
	stream, bots := phone.Open(harness.OverWS, "room=lobby"), token.Open(harness.OverSSE, "room=lobby")
	ada.Do("DELETE", "/v1/me", map[string]string{"current_password": "wrong horse"}).WantProblem(403, "wrong_password", "")
	ada.Do("DELETE", "/v1/me", map[string]string{"current_password": ada.Password}).Want(204)
	stream.WantClose("disabled")
	bots.WantClose("disabled")
	left := others.Until(func(e harness.Event) bool { return e.Type == "member_removed" })
	if e := left[len(left)-1]; e.Room != "lobby" || e.User != "ada" || e.Target != "ada" {
		t.Errorf("the room got %s", e.Raw)
	}
	for name, c := range map[string]*harness.Client{"the caller": ada, "the phone": phone, "the bot": token} {
		if !c.Dead() {
			t.Errorf("%s can still log in", name)
		}
		c.Do("POST", "/v1/rooms/lobby/messages", harness.Raw("ghost")).WantProblem(401, "invalid_token", "")
	}
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).WantProblem(401, "bad_credentials", "")
	p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: "Ada", Password: ada.Password}).WantProblem(409, "username_taken", "")
	bob.Do("PUT", "/v1/me/blocks/ada", nil).WantProblem(404, "user_not_found", "")
	if got := bob.History("lobby", "").Items; len(got) != 1 || got[0].ID != id.ID {
		t.Errorf("messages = %s, want %s", harness.Show(got), id.Raw)
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	names := []string{"bob", "мария", "zoe"}
	for _, n := range names {
		p.Signup(t, n)
		ada.Do("PUT", "/v1/me/blocks/"+n, nil).Want(204)
		ada.Do("PUT", "/v1/me/blocks/"+n, nil).Want(204)
	}
	list := func(query string) (got []string, next *string) {
		var l struct {
			Items []struct{ Username string }
			Next  *string
		}
		ada.Do("GET", "/v1/me/blocks"+query, nil).Want(200).Into(&l)
		for _, i := range l.Items {
			got = append(got, i.Username)
		}
		return got, l.Next
	}
	slices.Sort(names)
	if got, next := list(""); !slices.Equal(got, names) || next != nil {
		t.Errorf("blocked = %v, next %v", got, next)
	}
	if got, next := list("?limit=2"); len(got) != 2 || next == nil || *next != got[1] {
		t.Errorf("first page of 2 = %v, next %v", got, next)
	}
	if got, _ := list("?after=bob"); !slices.Equal(got, names[1:]) {
		t.Errorf("page after bob = %v", got)
	}
	ada.Do("DELETE", "/v1/me/blocks/bob", nil).Want(204)
	ada.Do("DELETE", "/v1/me/blocks/bob", nil).Want(204)
	if got, _ := list(""); !slices.Equal(got, names[1:]) {
		t.Errorf("list with bob unblocked = %v", got)
	}
	ada.Do("PUT", "/v1/me/blocks/nobody", nil).WantProblem(404, "user_not_found", "")
	ada.Do("PUT", "/v1/me/blocks/ada", nil).WantProblem(400, "invalid_request", "")
	ada.Do("PUT", "/v1/me/blocks/a%20b", nil).WantProblem(400, "invalid_request", "")
}

func TestAPITokens(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	for _, room := range []string{"ops", "lobby"} {
		ada.Do("PUT", "/v1/rooms/"+room, nil).Want(201)
	}
	bot := ada.Token(map[string]any{"name": "deploys"})
	tied := ada.Token(map[string]any{"name": "ops only", "rooms": []string{"Ops"}})

	// As documented.
	bot.Do("POST", "/v1/rooms/ops/messages", harness.Raw("deploy done"), "Content-Type: application/x-www-form-urlencoded").Want(201)
	stream := bot.Open(harness.OverSSE, "room=ops")
	tiedStream := tied.Open(harness.OverWS, "room=ops")

	forbidden := []string{"POST /v1/auth/logout", "POST /v1/auth/ticket", "GET /v1/tokens", "DELETE /v1/tokens/1", "PATCH /v1/me", "DELETE /v1/me"}
	for _, call := range forbidden {
		method, target, _ := strings.Cut(call, " ")
		bot.Do(method, target, nil).WantProblem(403, "token_scope", "")
		tied.Do(method, target, nil).WantProblem(403, "token_scope", "")
	}
	bot.Do("POST", "/v1/tokens", map[string]any{"name": "more"}).WantProblem(403, "token_scope", "")
	bot.Do("GET", "/v1/me", nil).Want(200)
	bot.Do("PUT", "/v1/rooms/new", nil).Want(201)

	// For all operations of openapi.yaml: a token that is limited to rooms can reach those rooms with their files, and
	// GET /v1/me, and nothing else.
	for path, item := range harness.Contract().Paths.Map() {
		for method, operation := range item.Operations() {
			call := method + " " + path
			if operation.Security != nil || strings.HasPrefix(path, "/v1/rooms/{room}") || strings.HasPrefix(path, "/v1/files/{id}") || call == "GET /v1/rooms" || call == "GET /v1/me" || path == "/v1/events" {
				continue
			}
			target := regexp.MustCompile(`\{.*?\}`).ReplaceAllString(path, "1")
			tied.Do(method, target, nil).WantProblem(403, "token_scope", "")
		}
	}

	tied.Do("GET", "/v1/me", nil).Want(200)
	tied.Do("POST", "/v1/rooms/ops/messages", harness.Raw("hi")).Want(201)
	tied.Do("GET", "/v1/rooms/ops/messages", nil).Want(200)
	tied.Do("POST", "/v1/rooms", map[string]any{"name": "made"}).WantProblem(403, "token_scope", "")
	for _, call := range []string{"GET /v1/rooms/lobby", "PUT /v1/rooms/lobby", "GET /v1/rooms/lobby/messages", "GET /v1/events?room=lobby", "GET /v1/events?room=ops&room=lobby", "PUT /v1/rooms/unheard-of"} {
		method, target, _ := strings.Cut(call, " ")
		tied.Do(method, target, nil).WantProblem(404, "room_not_found", "")
	}
	tied.Do("POST", "/v1/rooms/lobby/messages", harness.Raw("hi")).WantProblem(404, "room_not_found", "")
	if rooms := string(tied.Do("GET", "/v1/rooms", nil).Want(200).Body); !strings.Contains(rooms, `"ops"`) || strings.Contains(rooms, `"lobby"`) {
		t.Errorf("rooms of a token tied to ops = %s", rooms)
	}

	listed := string(ada.Do("GET", "/v1/tokens", nil).Want(200).Body)
	for _, want := range []string{`"deploys"`, `"ops only"`, `["ops"]`, `"rooms":null`, `"expires_at":null`} {
		if !strings.Contains(listed, want) {
			t.Errorf("%s missing from the list %s", want, listed)
		}
	}
	if strings.Contains(listed, bot.AccessToken) {
		t.Error("the list contains a token")
	}
	if other := string(bob.Do("GET", "/v1/tokens", nil).Want(200).Body); strings.Contains(other, "deploys") {
		t.Errorf("bob's tokens = %s", other)
	}

	bob.Do("DELETE", "/v1/tokens/"+bot.RefreshToken, nil).WantProblem(404, "token_not_found", "")
	ada.Do("DELETE", "/v1/tokens/1", nil).WantProblem(404, "token_not_found", "") // that id is a login's
	ada.Do("DELETE", "/v1/tokens/"+bot.RefreshToken, nil).Want(204)
	ada.Do("DELETE", "/v1/tokens/"+bot.RefreshToken, nil).WantProblem(404, "token_not_found", "")
	stream.WantClose("signed_out")
	if !bot.Dead() || tied.Dead() {
		t.Error("want exactly the revoked token ended")
	}
	ada.Post("ops", "go on")
	tiedStream.UntilMessage("go on")
}

// An expired token makes room for another at once, before the sweep removes it.
func TestExpiredAPITokensDoNotCount(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitTokens = 2 })
	ada := p.Signup(t, "ada")
	ada.Token(map[string]any{"name": "lasting"})
	short := ada.Token(map[string]any{"name": "short", "expires_in": 1})
	harness.Eventually(t, "the token expires", func() bool { return short.Do("GET", "/v1/me", nil).Status == 401 })
	if listed := string(ada.Do("GET", "/v1/tokens", nil).Want(200).Body); strings.Contains(listed, `"short"`) {
		t.Errorf("tokens after one has expired: got %s, want only the lasting one", listed)
	}
	ada.Token(map[string]any{"name": "next"})
	ada.Do("POST", "/v1/tokens", map[string]any{"name": "third"}).WantProblem(409, "limit_reached", "")
}

func TestAPITokensExpire(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	short := ada.Token(map[string]any{"name": "short", "expires_in": 6})
	stream := short.Open(harness.OverSSE, "")
	stream.WantClose("token_expired")
	harness.Eventually(t, "the token expires", func() bool {
		a := short.Do("GET", "/v1/me", nil)
		return a.Status == 401 && strings.Contains(string(a.Body), `"code":"token_expired"`)
	})
	for _, body := range []map[string]any{{}, {"name": ""}, {"name": "x", "expires_in": 0}, {"name": "x", "expires_in": -1}, {"name": "x", "rooms": []string{}}, {"name": "x", "rooms": "ops"}} {
		ada.Do("POST", "/v1/tokens", body).WantProblem(400, "invalid_request", "")
	}
	ada.Do("POST", "/v1/tokens", map[string]any{"name": "x", "rooms": []string{"nowhere"}}).WantProblem(404, "room_not_found", "")
}
