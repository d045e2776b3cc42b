package suite

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gorilla/websocket"
)

// command sends a request frame and returns its reply.
func (s *Stream) command(method, path string, body any, headers map[string]string) Event {
	frame := map[string]any{"ref": s.t.Name(), "method": method, "path": path}
	if body != nil {
		frame["body"] = body
	}
	if headers != nil {
		frame["headers"] = headers
	}
	text, err := json.Marshal(frame)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	s.Send(string(text))
	e := s.reply()
	if e.Ref != frame["ref"] {
		s.t.Errorf("reply to %s = %s", text, clip(e.Raw))
	}
	return e
}

// reply returns the next reply; events may come before it.
func (s *Stream) reply() Event {
	seen := s.Until("a reply", func(e Event) bool { return e.Type == "reply" })
	return seen[len(seen)-1]
}

// takingCommands opens a WebSocket, if the server supports commands.
func (t *T) takingCommands(u *User, query string) *Stream {
	s := t.Open(u, query)
	s.Opening()
	if e := s.command("GET", "/v1/me", nil, nil); strings.Contains(string(e.Body), `"not_over_socket"`) {
		t.Lack("the server takes no commands over the WebSocket")
	}
	return s
}

// commands makes the same calls over REST and over the socket: status and body must be the same.
func commands(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	s := t.takingCommands(ada, rooms(room))
	post := ada.Post(room, "first")
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/v1/me", nil},
		{"GET", roomPath(room), nil},
		{"GET", roomPath(room, "messages"), nil},
		{"GET", roomPath(room, "messages") + "?limit=1&before=" + id(post), nil},
		{"GET", roomPath(room, "messages") + "?limit=1000", nil},
		{"GET", "/v1/rooms?limit=1000", nil}, // a page of rooms changes between calls
		{"PUT", roomPath(room), nil},
		{"GET", roomPath(t.Name()), nil},
		{"GET", "/v1/nothing-there", nil},
		{"POST", roomPath(room, "messages"), map[string]any{"message": ""}},
		{"POST", roomPath(room, "messages"), map[string]any{"message": 7}},
		{"POST", roomPath(room, "messages"), map[string]any{}},
		{"POST", roomPath(t.Name(), "messages"), map[string]any{"message": "hi"}},
		{"POST", "/v1/rooms", map[string]any{"name": room}},
		{"POST", "/v1/rooms", map[string]any{"name": "no good name"}},
		{"PATCH", "/v1/me", map[string]any{"current_password": "not this one"}},
		{"PUT", "/v1/me/blocks/" + bob.Name, nil},
		{"DELETE", "/v1/me/blocks/" + bob.Name, nil},
	} {
		rest := ada.Do(c.method, c.path, c.body)
		reply := s.command(c.method, c.path, c.body, nil)
		if reply.Status != rest.Status || string(reply.Body) != strings.TrimSuffix(rest.Body, "\n") {
			t.Errorf("%s over the WebSocket: got %d %s", rest, reply.Status, clip(string(reply.Body)))
		}
		if rest.Status == 204 && strings.Contains(reply.Raw, `"body"`) {
			t.Errorf("%s over the WebSocket: got %s", rest, reply.Raw)
		}
	}
	// A key is valid across REST and the socket.
	key, body := t.Name(), map[string]any{"message": "once"}
	first := s.command("POST", roomPath(room, "messages"), body, map[string]string{"Idempotency-Key": key})
	again := ada.Do("POST", roomPath(room, "messages"), body, "Idempotency-Key: "+key).Want(200)
	if first.Status != 201 || string(first.Body) != strings.TrimSuffix(again.Body, "\n") {
		t.Errorf("WebSocket reply = %s, REST response = %s", first.Raw, again)
	}
	for _, path := range []string{"/v1/auth/logout", "/v1/tokens", "/v1/events"} {
		if e := s.command("POST", path, nil, nil); e.Status != 400 || !strings.Contains(string(e.Body), `"not_over_socket"`) {
			t.Errorf("POST %s over the WebSocket: got %s", path, e.Raw)
		}
	}
}

// shortForms sends the short frames of each event type.
func shortForms(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	s := t.takingCommands(ada, rooms(room))
	watch := t.Open(bob, rooms(room))
	watch.Opening()
	for n, frame := range []string{
		fmt.Sprintf(`{"type":"chat_message","room":%q,"message":"one","ref":"r1"}`, room),
		`{"type":"chat_message","message":"two","ref":"r2"}`, // a stream of one room
	} {
		s.Send(frame)
		e := s.reply()
		if e.Status != 201 || e.Ref != fmt.Sprint("r", n+1) {
			t.Fatalf("%s: reply = %s", frame, e.Raw)
		}
		watch.Message(Event{Raw: string(e.Body)})
	}
	if t.server.lacks("POST /v1/private/{username}/messages") == "" {
		s.Send(fmt.Sprintf(`{"type":"private_message","target":%q,"message":"psst","ref":"p"}`, bob.Name))
		e := s.reply()
		if e.Status != 201 || e.Ref != "p" {
			t.Fatalf("private message: reply = %s", e.Raw)
		}
		watch.Message(Event{Raw: string(e.Body)})
	}
	if t.server.lacks("POST /v1/rooms/{room}/typing") == "" {
		s.Send(fmt.Sprintf(`{"type":"user_typing","room":%q,"ref":"t"}`, room))
		if e := s.reply(); e.Status != 204 || e.Ref != "t" {
			t.Errorf("typing: reply = %s", e.Raw)
		}
		if e := watch.Next("user_typing"); e.User != ada.Name || e.Room != room {
			t.Errorf("typing event = %s", e.Raw)
		}
	}
	for _, bad := range []string{"no JSON", "[1]", `"text"`, `{"type":`, ""} {
		s.Send(bad)
		if e := s.reply(); e.Status != 400 || e.Ref != "" || !strings.Contains(string(e.Body), `"status":400`) {
			t.Errorf("frame %q: reply = %s", bad, e.Raw)
		}
	}
}

// commandsInOrder sends many commands before it reads any reply.
func commandsInOrder(t *T) {
	ada := t.User()
	room := t.Room(ada)
	s := t.takingCommands(ada, rooms(room))
	const n = 20
	for i := range n {
		s.Send(fmt.Sprintf(`{"type":"chat_message","room":%q,"message":"number %d","ref":"%d"}`, room, i, i))
	}
	last := int64(0)
	for i := range n {
		e := s.reply()
		var posted Event
		if err := json.Unmarshal(e.Body, &posted); err != nil || e.Ref != fmt.Sprint(i) || e.Status != 201 || posted.ID <= last {
			t.Fatalf("reply %d = %s", i, e.Raw)
		}
		last = posted.ID
	}
	if got := len(ada.History(room)); got != n {
		t.Errorf("history has %d of %d posts", got, n)
	}
}

// badFrames checks the close codes for invalid frames.
func badFrames(t *T) {
	ada := t.User()
	for _, test := range []struct {
		kind int
		text string
		code int
	}{
		{websocket.BinaryMessage, "{}", 1003},
		{websocket.TextMessage, "\xff\xfe", 1007},
		{websocket.TextMessage, strings.Repeat(" ", 64<<10+1), 1009},
	} {
		s := t.Open(ada, "")
		s.Opening()
		s.send(test.kind, test.text)
		for {
			if _, err := s.next(t.Patience); err != nil {
				if !websocket.IsCloseError(err, test.code) {
					t.Errorf("%.10q: WebSocket ended with %v, want close code %d", test.text, err, test.code)
				}
				break
			}
		}
	}
}
