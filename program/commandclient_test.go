package program

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// reply is what answers a command over the WebSocket.
type reply struct {
	raw     []byte
	Ref     *string           `json:"ref"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func parseReply(raw []byte) (reply, error) {
	r := reply{raw: raw}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return r, fmt.Errorf("%w: %w in %s", errContract, err, clip(raw))
	}
	if err := contract().Components.Schemas["Reply"].Value.VisitJSON(value, schemaRules...); err != nil {
		return r, fmt.Errorf("%w: reply %s: %w", errContract, clip(raw), err)
	}
	object := value.(map[string]any)
	want := slices.DeleteFunc([]string{"type", "ref", "status", "headers", "body"}, func(key string) bool { _, has := object[key]; return !has })
	if got := keysOf(raw); !slices.Equal(got, want) {
		return r, fmt.Errorf("%w: the keys of a reply are %v, not %v", errContract, got, want)
	}
	return r, json.Unmarshal(raw, &r)
}

// say sends a text frame.
func (s *stream) say(text string) {
	s.t.Helper()
	if err := s.source.(*wsSource).send(websocket.TextMessage, []byte(text)); err != nil {
		s.t.Fatalf("send %s: %v", clip([]byte(text)), err)
	}
}

// reply is the next reply.
func (s *stream) reply() reply {
	s.t.Helper()
	select {
	case r, ok := <-s.source.(*wsSource).replies:
		if !ok {
			s.t.Fatalf("the stream ended before a reply came: %v", s.err)
		}
		return r
	case <-time.After(patience):
		s.t.Fatal("no reply came")
		return reply{}
	}
}

// ask sends a frame and returns its reply as the answer that it is.
func (s *stream) ask(frame string) answer {
	s.t.Helper()
	s.say(frame)
	return s.reply().answer(s.t, frame)
}

func (r reply) answer(t *testing.T, frame string) answer {
	t.Helper()
	a := answer{t: t, call: "over the socket " + string(clip([]byte(frame))), status: r.Status, header: http.Header{}, body: r.Body}
	for name, value := range r.Headers {
		a.header.Set(name, value)
	}
	if a.status >= 400 {
		a.header.Set("Content-Type", "application/problem+json")
		checkProblem(func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s: "+format, append([]any{a.call}, args...)...)
		}, a.status, a.header, a.body)
		a.header.Del("Content-Type")
	}
	return a
}

// call is client.do over the socket.
func (s *stream) call(method, target string, body any, headers ...string) answer {
	s.t.Helper()
	return s.ask(requestFrame(s.t, "", method, target, body, headers...))
}

// requestFrame is the frame of a request; without a ref where that is empty.
func requestFrame(t *testing.T, ref, method, target string, body any, headers ...string) string {
	t.Helper()
	frame := map[string]any{"method": method, "path": target}
	if ref != "" {
		frame["ref"] = ref
	}
	h := map[string]string{}
	if text, is := body.(raw); is {
		h["Content-Type"], body = "text/plain", string(text)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		h[name] = value
	}
	if len(h) > 0 {
		frame["headers"] = h
	}
	if body != nil {
		frame["body"] = body
	}
	text, err := json.Marshal(frame)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
