package operate

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

// As in the tutorial's consumer: the list, the user's own join, then all that happens. The room is created on demand.
func TestTutorialsProtocol(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	one := ada.Tutorial("/ws/chat/%D0%BA%D0%BE%D0%BC%D0%BD%D0%B0%D1%82%D0%B0/", ada.BearerHeader()) // комната
	if list, _ := one.Next("user_list"); strings.Join(list.Users, " ") != "ada" || list.Room != "комната" {
		t.Errorf("list = %s", list.Raw)
	}
	if own, _ := one.Next("user_join"); own.User != "ada" {
		t.Errorf("join = %s", own.Raw)
	}
	two := bob.Tutorial("/ws/chat/комната", bob.BearerHeader()) // without the trailing slash
	if list, _ := two.Next("user_list"); strings.Join(list.Users, " ") != "ada bob" {
		t.Errorf("list = %s", list.Raw)
	}
	two.Next("user_join")
	if joined, _ := one.Next("user_join"); joined.User != "bob" {
		t.Errorf("join = %s", joined.Raw)
	}
	two.Say(`{"message":"hello"}`)
	two.Say(`{"message":"/pmore","username":"ignored"}`)
	for _, page := range []*harness.TutorialPage{one, two} {
		for _, want := range []string{"hello", "/pmore"} {
			if e, _ := page.Next("chat_message"); e.User != "bob" || e.Message != want {
				t.Errorf("message = %s", e.Raw)
			}
		}
	}
	// As in the tutorial, a private message reaches its target and its sender is notified; others in the room see neither.
	two.Say(`{"message":"/pm ada psst, ada"}`)
	if e, _ := one.Next("private_message"); e.User != "bob" || e.Target != "ada" || e.Message != "psst, ada" {
		t.Errorf("private message = %s", e.Raw)
	}
	if e, _ := two.Next("private_message_delivered"); e.Target != "ada" || e.Message != "psst, ada" {
		t.Errorf("the sender got %s", e.Raw)
	}
	// Opening the page makes nobody a member except the room's creator.
	var made, seen harness.Room
	ada.Do("GET", harness.RoomPath("комната"), nil).Want(200).Into(&made)
	bob.Do("GET", harness.RoomPath("комната"), nil).Want(200).Into(&seen)
	if made.Role == nil || *made.Role != "owner" || seen.Role != nil || made.CreatedBy != "ada" {
		t.Errorf("room = %+v for ada, %+v for bob", made, seen)
	}
	// Events that the page does not know are not sent to it; messages with newer features arrive as plain messages.
	for ephemeral, status := range map[bool]int{false: 201, true: 202} {
		ada.Do("POST", harness.RoomPath("комната")+"/events", harness.Fields{"name": "x", "ephemeral": ephemeral}).Want(status)
		ada.Do("POST", harness.PrivatePath("bob")+"/events", harness.Fields{"name": "x", "ephemeral": ephemeral}).Want(status)
	}
	rich := ada.PostJSON("комната", harness.Fields{"message": "@bob", "data": harness.Fields{"a": 1}})
	ada.Do("PUT", harness.MessagePath("комната", rich.ID)+"/pin", nil).Want(204)
	ada.PostJSON("комната", harness.Fields{"message": "after", "thread": rich.ID})
	for _, page := range []*harness.TutorialPage{one, two} {
		for _, want := range []string{"@bob", "after"} {
			if e, _ := page.Next("chat_message"); e.Message != want {
				t.Errorf("message = %s", e.Raw)
			}
		}
	}
	two.Conn.Close()
	if left, _ := one.Next("user_leave"); left.User != "bob" {
		t.Errorf("leave = %s", left.Raw)
	}
}

func TestTutorialsMalformedFramesAreHarmless(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	page := ada.Tutorial("/ws/chat/lobby/", ada.BearerHeader())
	page.Next("user_list")
	page.Next("user_join")
	for _, test := range []struct{ frame, field string }{
		{"hello", "body"}, {"[]", "body"}, {"{}", "message"}, {`{"message":7}`, "message"}, {`{"message":""}`, "message"},
		{`{"message":"/pm"}`, "message"}, {`{"message":"/pm "}`, "message"}, {`{"message":"/pm x"}`, "message"}, {`{"message":"/pm x "}`, "message"},
		{`{"message":"/pm  x y"}`, "message"}, {`{"message":"` + strings.Repeat("x", 4001) + `"}`, "message"},
	} {
		page.Say(test.frame)
		_, r := page.Next("reply")
		r.Answer(t, test.frame).WantProblem(400, "", test.field)
	}
	// To a user who is offline: the same outcome as a private message over REST.
	page.Say(`{"message":"/pm nobody psst you"}`)
	_, r := page.Next("reply")
	if want := ada.Do("POST", "/v1/private/nobody/messages", map[string]string{"message": "psst you"}); r.Status != want.Status || r.Status < 400 {
		t.Errorf("reply = %s, HTTP status %d", r.Raw, want.Status)
	}
	page.Say(`{"message":"still here"}`)
	if e, _ := page.Next("chat_message"); e.Message != "still here" {
		t.Errorf("message = %s", e.Raw)
	}
	if got := ada.History("lobby", "").Items; len(got) != 1 {
		t.Errorf("messages in the lobby = %s", harness.Show(got))
	}
}

// The tutorial's page cannot set headers: it authenticates with the cookie, from a page of our own origin.
func TestTutorialAuthenticatesAsStreamsDo(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	var login harness.Session
	cookie, _, _ := strings.Cut(ada.Do("POST", "/v1/auth/login", map[string]any{"username": "ada", "password": ada.Password, "cookie": true}).Into(&login).Header.Get("Set-Cookie"), ";")
	page := ada.Tutorial("/ws/chat/lobby/", http.Header{"Cookie": {cookie}, "Origin": {p.URL}})
	page.Next("user_list")
	var ticket struct{ Ticket string }
	ada.Do("POST", "/v1/auth/ticket", nil).Want(201).Into(&ticket)
	ada.Tutorial("/ws/chat/lobby/?ticket="+ticket.Ticket, nil).Next("user_list")
	for name, test := range map[string]struct {
		path   string
		header http.Header
		status int
		code   string
	}{
		"nobody":             {"/ws/chat/new/", nil, 401, "missing_token"},
		"a spent ticket":     {"/ws/chat/new/?ticket=" + ticket.Ticket, nil, 401, "invalid_token"},
		"a foreign page":     {"/ws/chat/new/", http.Header{"Cookie": {cookie}, "Origin": {"https://evil.example"}}, 403, "bad_origin"},
		"a token in the URL": {"/ws/chat/new/?token=" + ada.AccessToken, nil, 400, "token_in_url"},
		"no room's name":     {"/ws/chat/a%20b/", ada.BearerHeader(), 400, "invalid_request"},
	} {
		refused := ada.Tutorial(test.path, test.header).Refused
		if refused == nil {
			t.Errorf("%s: the stream opened, want a refusal", name)
			continue
		}
		var got harness.Problem
		if err := json.NewDecoder(refused.Body).Decode(&got); err != nil || refused.StatusCode != test.status || got.Code != test.code {
			t.Errorf("%s: refused with %d %+v, %v", name, refused.StatusCode, got, err)
		}
		refused.Body.Close()
	}
	ada.Do("GET", harness.RoomPath("new"), nil).Want(404) // refused before the room was created
	if got := ada.Do("GET", "/ws/chat/lobby/", nil); got.WantProblem(426, "upgrade_required", "").Detail == "" || got.Header.Get("Upgrade") != "websocket" {
		t.Errorf("Upgrade = %q", got.Header.Get("Upgrade"))
	}
	ada.Do("GET", "/ws/chat/new/", nil).Want(426)
	ada.Do("POST", "/ws/chat/lobby/", nil).Want(405)
}
