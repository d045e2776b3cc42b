package program

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// eventually waits for something that the contract grants within a second.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("%s did not come true", what)
}

// login is another session of the same user.
func (c *client) login() *client {
	c.t.Helper()
	other := c.server.visitor(c.t)
	other.password = c.password
	other.do("POST", "/v1/auth/login", credentials{c.User.Username, c.password}).want(200).into(&other.session)
	return other
}

// wantClose reads to the end, which must be a stream_close for that reason.
func (s *stream) wantClose(reason string) {
	s.t.Helper()
	if last, _ := s.ending(); last.Type != "stream_close" || last.Reason != reason {
		s.t.Errorf("%s: the stream ended with %s, not for %s", s.over, last.raw, reason)
	}
}

func (c *client) dead() bool {
	a := c.do("GET", "/v1/me", nil)
	return a.status == 401 && strings.Contains(string(a.body), `"code":"invalid_token"`)
}

func TestLogoutEndsTheSessionItsTokensAndItsStreams(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.do("PUT", "/v1/rooms/lobby", nil).want(201)
	phone := ada.login()
	onEach(t, func(t *testing.T, over transport) {
		session := ada.in(t).login()
		ticket := session.do("POST", "/v1/auth/ticket", nil).want(201)
		s := session.open(over, "room=lobby")
		other := phone.in(t).open(over, "room=lobby")
		p.awaitPolls(t, over, 2)
		session.do("POST", "/v1/auth/logout", nil).want(204)
		if !session.dead() {
			t.Error("the access token counts after the logout")
		}
		s.wantClose("signed_out")
		session.do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": session.RefreshToken}).wantProblem(401, "invalid_token", "")
		var made struct{ Ticket string }
		ticket.into(&made)
		p.visitor(t).do("GET", "/v1/events?ticket="+made.Ticket, nil).wantProblem(401, "invalid_token", "")
		// The other session and its stream go on.
		phone.in(t).post("lobby", "still here over "+string(over))
		other.untilMessage("still here over " + string(over))
	})
}

func TestChangedPasswordEndsTheOtherSessions(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	phone, token := ada.login(), ada.token(map[string]any{"name": "bot"})
	stream := phone.open(overSSE, "")
	change := func(c *client, current, next string) answer {
		return c.do("PATCH", "/v1/me", map[string]string{"current_password": current, "password": next})
	}
	change(ada, "wrong horse", "another horse").wantProblem(403, "wrong_password", "")
	change(ada, ada.password, "short").wantProblem(400, "invalid_request", "password")
	if phone.dead() {
		t.Fatal("a refused change ended a session")
	}
	p.logs.keepSecret("another horse")
	change(ada, ada.password, "another horse").want(200)
	if !phone.dead() || ada.dead() || token.dead() {
		t.Error("not the other logins alone were ended")
	}
	stream.wantClose("signed_out")
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"ada", ada.password}).wantProblem(401, "bad_credentials", "")
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"ada", "another horse"}).want(200)
}

func TestDeletedAccountIsGoneAndItsNameIsNot(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.do("PUT", "/v1/rooms/lobby", nil).want(201)
	id := ada.post("lobby", "I was here")
	phone, token := ada.login(), ada.token(map[string]any{"name": "bot"})
	others := bob.open(overSSE, "room=lobby")
	stream, bots := phone.open(overWS, "room=lobby"), token.open(overSSE, "room=lobby")
	ada.do("DELETE", "/v1/me", map[string]string{"current_password": "wrong horse"}).wantProblem(403, "wrong_password", "")
	ada.do("DELETE", "/v1/me", map[string]string{"current_password": ada.password}).want(204)
	stream.wantClose("disabled")
	bots.wantClose("disabled")
	left := others.until(func(e event) bool { return e.Type == "member_removed" })
	if e := left[len(left)-1]; e.Room != "lobby" || e.User != "ada" || e.Target != "ada" {
		t.Errorf("those in the room get %s", e.raw)
	}
	for name, c := range map[string]*client{"the caller": ada, "the phone": phone, "the bot": token} {
		if !c.dead() {
			t.Errorf("%s is still let in", name)
		}
		c.do("POST", "/v1/rooms/lobby/messages", raw("ghost")).wantProblem(401, "invalid_token", "")
	}
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"ada", ada.password}).wantProblem(401, "bad_credentials", "")
	p.visitor(t).do("POST", "/v1/auth/signup", credentials{"Ada", ada.password}).wantProblem(409, "username_taken", "")
	bob.do("PUT", "/v1/me/blocks/ada", nil).wantProblem(404, "user_not_found", "")
	if got := bob.history("lobby", "").items; len(got) != 1 || got[0].ID != id.ID {
		t.Errorf("the messages are %s, not %s", show(got), id.raw)
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	names := []string{"bob", "мария", "zoe"}
	for _, n := range names {
		p.signup(t, n)
		ada.do("PUT", "/v1/me/blocks/"+n, nil).want(204)
		ada.do("PUT", "/v1/me/blocks/"+n, nil).want(204)
	}
	list := func(query string) (got []string, next *string) {
		var l struct {
			Items []struct{ Username string }
			Next  *string
		}
		ada.do("GET", "/v1/me/blocks"+query, nil).want(200).into(&l)
		for _, i := range l.Items {
			got = append(got, i.Username)
		}
		return got, l.Next
	}
	slices.Sort(names)
	if got, next := list(""); !slices.Equal(got, names) || next != nil {
		t.Errorf("blocked are %v, next %v", got, next)
	}
	if got, next := list("?limit=2"); len(got) != 2 || next == nil || *next != got[1] {
		t.Errorf("a page of 2 is %v, next %v", got, next)
	}
	if got, _ := list("?after=bob"); !slices.Equal(got, names[1:]) {
		t.Errorf("behind bob are %v", got)
	}
	ada.do("DELETE", "/v1/me/blocks/bob", nil).want(204)
	ada.do("DELETE", "/v1/me/blocks/bob", nil).want(204)
	if got, _ := list(""); !slices.Equal(got, names[1:]) {
		t.Errorf("without bob blocked are %v", got)
	}
	ada.do("PUT", "/v1/me/blocks/nobody", nil).wantProblem(404, "user_not_found", "")
	ada.do("PUT", "/v1/me/blocks/ada", nil).wantProblem(400, "invalid_request", "")
	ada.do("PUT", "/v1/me/blocks/a%20b", nil).wantProblem(400, "invalid_request", "")
}

// token is a client with a new API token of c's.
func (c *client) token(body map[string]any) *client {
	c.t.Helper()
	var made struct {
		ID    int64
		Token string
	}
	c.do("POST", "/v1/tokens", body).want(201).into(&made)
	if !strings.HasPrefix(made.Token, "tandem_") {
		c.t.Errorf("the token is %q", made.Token)
	}
	other := c.withToken(made.Token)
	other.password, other.RefreshToken = "", fmt.Sprint(made.ID) // to be revoked by
	return other
}

func TestAPITokens(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	for _, room := range []string{"ops", "lobby"} {
		ada.do("PUT", "/v1/rooms/"+room, nil).want(201)
	}
	bot := ada.token(map[string]any{"name": "deploys"})
	tied := ada.token(map[string]any{"name": "ops only", "rooms": []string{"Ops"}})

	// The documented way.
	bot.do("POST", "/v1/rooms/ops/messages", raw("deploy done"), "Content-Type: application/x-www-form-urlencoded").want(201)
	stream := bot.open(overSSE, "room=ops")
	tiedStream := tied.open(overWS, "room=ops")

	forbidden := []string{"POST /v1/auth/logout", "POST /v1/auth/ticket", "GET /v1/tokens", "DELETE /v1/tokens/1", "PATCH /v1/me", "DELETE /v1/me"}
	for _, call := range forbidden {
		method, target, _ := strings.Cut(call, " ")
		bot.do(method, target, nil).wantProblem(403, "token_scope", "")
		tied.do(method, target, nil).wantProblem(403, "token_scope", "")
	}
	bot.do("POST", "/v1/tokens", map[string]any{"name": "more"}).wantProblem(403, "token_scope", "")
	bot.do("GET", "/v1/me", nil).want(200)
	bot.do("PUT", "/v1/rooms/new", nil).want(201)

	// Whatever the contract comes to have: a token that is limited to rooms reaches these and GET /v1/me alone.
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			call := method + " " + path
			if operation.Security != nil || strings.HasPrefix(path, "/v1/rooms/{room}") || call == "GET /v1/rooms" || call == "GET /v1/me" || path == "/v1/events" {
				continue
			}
			target := regexp.MustCompile(`\{.*?\}`).ReplaceAllString(path, "1")
			tied.do(method, target, nil).wantProblem(403, "token_scope", "")
		}
	}

	tied.do("GET", "/v1/me", nil).want(200)
	tied.do("POST", "/v1/rooms/ops/messages", raw("hi")).want(201)
	tied.do("GET", "/v1/rooms/ops/messages", nil).want(200)
	tied.do("POST", "/v1/rooms", map[string]any{"name": "made"}).wantProblem(403, "token_scope", "")
	for _, call := range []string{"GET /v1/rooms/lobby", "PUT /v1/rooms/lobby", "GET /v1/rooms/lobby/messages", "GET /v1/events?room=lobby", "GET /v1/events?room=ops&room=lobby", "PUT /v1/rooms/unheard-of"} {
		method, target, _ := strings.Cut(call, " ")
		tied.do(method, target, nil).wantProblem(404, "room_not_found", "")
	}
	tied.do("POST", "/v1/rooms/lobby/messages", raw("hi")).wantProblem(404, "room_not_found", "")
	if rooms := string(tied.do("GET", "/v1/rooms", nil).want(200).body); !strings.Contains(rooms, `"ops"`) || strings.Contains(rooms, `"lobby"`) {
		t.Errorf("the rooms of a token tied to ops are %s", rooms)
	}

	listed := string(ada.do("GET", "/v1/tokens", nil).want(200).body)
	for _, want := range []string{`"deploys"`, `"ops only"`, `["ops"]`, `"rooms":null`, `"expires_at":null`} {
		if !strings.Contains(listed, want) {
			t.Errorf("the list lacks %s: %s", want, listed)
		}
	}
	if strings.Contains(listed, bot.AccessToken) {
		t.Error("the list shows a token")
	}
	if other := string(bob.do("GET", "/v1/tokens", nil).want(200).body); strings.Contains(other, "deploys") {
		t.Errorf("bob sees %s", other)
	}

	bob.do("DELETE", "/v1/tokens/"+bot.RefreshToken, nil).wantProblem(404, "token_not_found", "")
	ada.do("DELETE", "/v1/tokens/1", nil).wantProblem(404, "token_not_found", "") // that is a login
	ada.do("DELETE", "/v1/tokens/"+bot.RefreshToken, nil).want(204)
	ada.do("DELETE", "/v1/tokens/"+bot.RefreshToken, nil).wantProblem(404, "token_not_found", "")
	stream.wantClose("signed_out")
	if !bot.dead() || tied.dead() {
		t.Error("not the revoked token alone has ended")
	}
	ada.post("ops", "go on")
	tiedStream.untilMessage("go on")
}

func TestAPITokensExpire(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	short := ada.token(map[string]any{"name": "short", "expires_in": 6})
	stream := short.open(overSSE, "")
	stream.wantClose("token_expired")
	eventually(t, "the token's end", func() bool {
		a := short.do("GET", "/v1/me", nil)
		return a.status == 401 && strings.Contains(string(a.body), `"code":"token_expired"`)
	})
	for _, body := range []map[string]any{{}, {"name": ""}, {"name": "x", "expires_in": 0}, {"name": "x", "expires_in": -1}, {"name": "x", "rooms": []string{}}, {"name": "x", "rooms": "ops"}} {
		ada.do("POST", "/v1/tokens", body).wantProblem(400, "invalid_request", "")
	}
	ada.do("POST", "/v1/tokens", map[string]any{"name": "x", "rooms": []string{"nowhere"}}).wantProblem(404, "room_not_found", "")
}
