package api

import (
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

// Any frame is either refused with a fault, or becomes an API call whose parts are those of the frame.
func FuzzCommandFrame(f *testing.F) {
	for _, s := range []string{
		`{"ref":"7","method":"POST","path":"/v1/rooms/lobby/messages","headers":{"Idempotency-Key":"k1"},"body":{"message":"hi"}}`,
		`{"type":"chat_message","room":"../../auth/login","message":"hi","ref":"8"}`, `{"type":"private_message","target":"a/b?c#d","message":"x"}`,
		`{"type":"user_typing","room":"%2e%2e"}`, `{"type":1}`, `{"ref":{}}`, `{"method":"GET","path":"http://elsewhere/v1/me"}`, `[]`, `null`,
		`{"method":"POST","path":"/v1/rooms/a/messages","headers":{"content-type":"text/plain"},"body":"raw"}`, `{"method":"GET","path":"//v1/me"}`,
		`{"ref":"a","ref":"b","method":"GET","path":"/v1/me"}`, `{"type":"chat_message","message":"hi"}`, `{"headers":null}`, `{"body":null,"method":"PUT","path":"/v1/rooms/a%0d%0ab"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		frame, err := parseFrame([]byte(s))
		if frame.ref != nil && !json.Valid(frame.ref) {
			t.Errorf("ref %q is not JSON", frame.ref)
		}
		room, target := said(s, "room"), said(s, "target")
		var cmd command
		if err == nil {
			cmd, err = frame.command("lobby")
		}
		if err != nil {
			if fault, known := faultOf(err); !known || fault.status != http.StatusBadRequest {
				t.Errorf("%q: got %v, want a 400", s, err)
			}
			return
		}
		if !slices.Contains(methods, cmd.method) {
			t.Errorf("%q: method = %s", s, cmd.method)
		}
		if cmd.body != nil && strings.Contains(cmd.header.Get("Content-Type"), "json") && !json.Valid(cmd.body) {
			t.Errorf("%q: body = %q, not JSON", s, cmd.body)
		}
		if said(s, "type") == "" {
			return
		}
		// A short form names one room or user, whatever characters the name has.
		u, err := url.ParseRequestURI(cmd.path)
		if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Host != "" {
			t.Fatalf("%q: path = %q, %v", s, cmd.path, err)
		}
		parts := strings.Split(u.EscapedPath(), "/")
		name, err := url.PathUnescape(parts[3])
		if err != nil || len(parts) != 5 || name != room && name != target && name != "lobby" {
			t.Errorf("%q: path = %q, name %q", s, cmd.path, name)
		}
	})
}

// said returns a member of the frame, if it is a string.
func said(frame, name string) string {
	var members map[string]any
	_ = json.Unmarshal([]byte(frame), &members)
	text, _ := members[name].(string)
	return text
}

// bodies returns the generated types into which the operations' JSON is decoded.
var bodies = map[string]func() any{
	"signup": func() any { return new(SignupJSONRequestBody) }, "createRoom": func() any { return new(CreateRoomJSONRequestBody) },
	"changeRoom": func() any { return new(ChangeRoomJSONRequestBody) }, "setMember": func() any { return new(SetMemberJSONRequestBody) },
	"postMessage": func() any { return new(PostMessageJSONRequestBody) }, "editMessage": func() any { return new(EditMessageJSONRequestBody) },
	"readRoom": func() any { return new(ReadRoomJSONRequestBody) }, "refresh": func() any { return new(RefreshJSONRequestBody) },
	"changePassword": func() any { return new(ChangeMeJSONRequestBody) },
}

// What passes validation reaches the handler unchanged: nothing is dropped, repaired or refused later. What fails
// validation gets a 400 or 413 that names a field.
func FuzzBody(f *testing.F) {
	spec := readSpec(f)
	var page fs.FS = os.DirFS("../frontend/unbuilt")
	s, err := New(Config{Spec: spec, Logger: slog.New(slog.DiscardHandler), Page: page})
	if err != nil {
		f.Fatal(err)
	}
	for op := range bodies {
		for _, body := range []string{
			`{"username":"ada","password":"correct horse"}`, `{"message":"hi","nonce":"n","reply_to":3}`, `{"name":"lobby","title":"t","visibility":"private"}`,
			`{"id":9007199254740993}`, `{"id":1.0}`, `{"id":1e2}`, `{"role":"owner"}`, `{"message":null}`, `{"message":"a","Message":"b"}`, `{"title":"\u0000"}`,
			`{"refresh_token":"x"}`, `{"current_password":"a","password":"12345678"}`, `[]`, `"x"`, `{"posting":"admins","title":null}`, `{"message":"hi","message":"ho"}`,
		} {
			f.Add(op, body)
		}
	}
	f.Fuzz(func(t *testing.T, id, body string) {
		op, into := s.operations[id], bodies[id]
		if op == nil || into == nil {
			return
		}
		r := httptest.NewRequest(op.route.Method, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		c := s.echo.NewContext(r, httptest.NewRecorder())
		c.SetParamNames("room", "username", "id")
		c.SetParamValues("lobby", "ada", "1")
		read := into()
		err := readBody(op)(op.validate(func(c echo.Context) error { return c.Bind(read) }))(c)
		if err != nil {
			if fault, known := faultOf(err); !known || fault.status >= 500 || fault.status < 400 || len(fault.fields) == 0 {
				t.Errorf("%s: %q: got %v, want a 4xx with fields", id, body, err)
			}
			return
		}
		var sent, kept map[string]any
		again, err := json.Marshal(read)
		if err != nil || json.Unmarshal([]byte(body), &sent) != nil || json.Unmarshal(again, &kept) != nil {
			t.Fatalf("%s: %q decoded as %s, %v", id, body, again, err)
		}
		for name, value := range sent {
			if have := kept[name]; value != nil && have != value {
				t.Errorf("%s: %s of %q decoded as %v", id, name, body, have)
			}
		}
	})
}
