package program

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// tutorialPage is what the Django Channels tutorial's page does with its WebSocket.
type tutorialPage struct {
	t       *testing.T
	conn    *websocket.Conn
	frames  chan []byte
	refused *http.Response
}

func (c *client) tutorial(path string, header http.Header) *tutorialPage {
	c.t.Helper()
	conn, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(c.server.url, "http")+path, header)
	page := &tutorialPage{t: c.t, conn: conn, frames: make(chan []byte, 256)}
	if err != nil {
		if resp == nil {
			c.t.Fatal(err)
		}
		page.refused = resp
		return page
	}
	c.t.Cleanup(func() { conn.Close() })
	go func() {
		defer close(page.frames)
		for {
			_, frame, err := conn.ReadMessage()
			if err != nil {
				return
			}
			page.frames <- frame
		}
	}()
	return page
}

func (p *tutorialPage) say(text string) {
	p.t.Helper()
	if err := p.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// next is the next frame, which must be of that type.
func (p *tutorialPage) next(kind string) (event, reply) {
	p.t.Helper()
	select {
	case frame := <-p.frames:
		if kind == "reply" {
			r, err := parseReply(frame)
			if err != nil {
				p.t.Fatal(err)
			}
			return event{}, r
		}
		e, err := parseEvent(frame)
		if err != nil || e.Type != kind {
			p.t.Fatalf("waiting for a %s came %s %v", kind, frame, err)
		}
		return e, reply{}
	case <-time.After(patience):
		p.t.Fatalf("no %s came", kind)
	}
	return event{}, reply{}
}

func (c *client) bearerHeader() http.Header {
	return http.Header{"Authorization": {"Bearer " + c.AccessToken}}
}

// As the tutorial's consumer: the list, one's own join, and then whatever happens; the room is made on demand.
func TestTutorialsProtocol(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	one := ada.tutorial("/ws/chat/%D0%BA%D0%BE%D0%BC%D0%BD%D0%B0%D1%82%D0%B0/", ada.bearerHeader()) // комната
	if list, _ := one.next("user_list"); strings.Join(list.Users, " ") != "ada" || list.Room != "комната" {
		t.Errorf("the list is %s", list.raw)
	}
	if own, _ := one.next("user_join"); own.User != "ada" {
		t.Errorf("the join is %s", own.raw)
	}
	two := bob.tutorial("/ws/chat/комната", bob.bearerHeader()) // without the slash
	if list, _ := two.next("user_list"); strings.Join(list.Users, " ") != "ada bob" {
		t.Errorf("the list is %s", list.raw)
	}
	two.next("user_join")
	if joined, _ := one.next("user_join"); joined.User != "bob" {
		t.Errorf("the join is %s", joined.raw)
	}
	two.say(`{"message":"hello"}`)
	two.say(`{"message":"/pmore","username":"ignored"}`)
	for _, page := range []*tutorialPage{one, two} {
		for _, want := range []string{"hello", "/pmore"} {
			if e, _ := page.next("chat_message"); e.User != "bob" || e.Message != want {
				t.Errorf("the message is %s", e.raw)
			}
		}
	}
	// As it does, a private message goes to its target and is told to its sender; the rest of the room sees neither.
	two.say(`{"message":"/pm ada psst, ada"}`)
	if e, _ := one.next("private_message"); e.User != "bob" || e.Target != "ada" || e.Message != "psst, ada" {
		t.Errorf("the private message is %s", e.raw)
	}
	if e, _ := two.next("private_message_delivered"); e.Target != "ada" || e.Message != "psst, ada" {
		t.Errorf("its sender is told %s", e.raw)
	}
	// Opening makes nobody a member but who made the room.
	var made, seen room
	ada.do("GET", roomPath("комната"), nil).want(200).into(&made)
	bob.do("GET", roomPath("комната"), nil).want(200).into(&seen)
	if made.Role == nil || *made.Role != "owner" || seen.Role != nil || made.CreatedBy != "ada" {
		t.Errorf("the room is %+v for ada, %+v for bob", made, seen)
	}
	two.conn.Close()
	if left, _ := one.next("user_leave"); left.User != "bob" {
		t.Errorf("the leave is %s", left.raw)
	}
}

func TestTutorialsMalformedFramesHarmNothing(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	page := ada.tutorial("/ws/chat/lobby/", ada.bearerHeader())
	page.next("user_list")
	page.next("user_join")
	for _, test := range []struct{ frame, field string }{
		{"hello", "body"}, {"[]", "body"}, {"{}", "message"}, {`{"message":7}`, "message"}, {`{"message":""}`, "message"},
		{`{"message":"/pm"}`, "message"}, {`{"message":"/pm "}`, "message"}, {`{"message":"/pm x"}`, "message"}, {`{"message":"/pm x "}`, "message"},
		{`{"message":"/pm  x y"}`, "message"}, {`{"message":"` + strings.Repeat("x", 4001) + `"}`, "message"},
	} {
		page.say(test.frame)
		_, r := page.next("reply")
		r.answer(t, test.frame).wantProblem(400, "", test.field)
	}
	// To somebody who is not there: whatever a private message over REST is told.
	page.say(`{"message":"/pm nobody psst you"}`)
	_, r := page.next("reply")
	if want := ada.do("POST", "/v1/private/nobody/messages", map[string]string{"message": "psst you"}); r.Status != want.status || r.Status < 400 {
		t.Errorf("the reply is %s, over HTTP %d", r.raw, want.status)
	}
	page.say(`{"message":"still here"}`)
	if e, _ := page.next("chat_message"); e.Message != "still here" {
		t.Errorf("the message is %s", e.raw)
	}
	if got := ada.history("lobby", "").items; len(got) != 1 {
		t.Errorf("the lobby has %s", show(got))
	}
}

// The tutorial's page cannot set headers: it comes with the cookie, from a page of ours.
func TestTutorialIsIdentifiedAsStreamsAre(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	var login session
	cookie, _, _ := strings.Cut(ada.do("POST", "/v1/auth/login", map[string]any{"username": "ada", "password": ada.password, "cookie": true}).into(&login).header.Get("Set-Cookie"), ";")
	page := ada.tutorial("/ws/chat/lobby/", http.Header{"Cookie": {cookie}, "Origin": {p.url}})
	page.next("user_list")
	var ticket struct{ Ticket string }
	ada.do("POST", "/v1/auth/ticket", nil).want(201).into(&ticket)
	ada.tutorial("/ws/chat/lobby/?ticket="+ticket.Ticket, nil).next("user_list")
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
		"no room's name":     {"/ws/chat/a%20b/", ada.bearerHeader(), 400, "invalid_request"},
	} {
		refused := ada.tutorial(test.path, test.header).refused
		if refused == nil {
			t.Errorf("%s: the stream opened", name)
			continue
		}
		var got problem
		if err := json.NewDecoder(refused.Body).Decode(&got); err != nil || refused.StatusCode != test.status || got.Code != test.code {
			t.Errorf("%s: refused with %d %+v, %v", name, refused.StatusCode, got, err)
		}
		refused.Body.Close()
	}
	ada.do("GET", roomPath("new"), nil).want(404) // refused before it was made
	if got := ada.do("GET", "/ws/chat/lobby/", nil); got.wantProblem(426, "upgrade_required", "").Detail == "" || got.header.Get("Upgrade") != "websocket" {
		t.Errorf("Upgrade is %q", got.header.Get("Upgrade"))
	}
	ada.do("GET", "/ws/chat/new/", nil).want(426)
	ada.do("POST", "/ws/chat/lobby/", nil).want(405)
}
