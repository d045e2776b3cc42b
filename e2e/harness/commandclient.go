package harness

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

// reply is the answer to a command over the WebSocket.
type reply struct {
	Raw     []byte            `json:"-"`
	Ref     *string           `json:"ref"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func ParseReply(raw []byte) (reply, error) {
	r := reply{Raw: raw}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return r, fmt.Errorf("%w: %w in %s", errContract, err, Clip(raw))
	}
	if err := Contract().Components.Schemas["Reply"].Value.VisitJSON(value, schemaRules...); err != nil {
		return r, fmt.Errorf("%w: reply %s: %w", errContract, Clip(raw), err)
	}
	object := value.(map[string]any)
	want := slices.DeleteFunc([]string{"type", "ref", "status", "headers", "body"}, func(key string) bool { _, has := object[key]; return !has })
	if got := KeysOf(raw); !slices.Equal(got, want) {
		return r, fmt.Errorf("%w: keys of a reply = %v, want %v", errContract, got, want)
	}
	return r, json.Unmarshal(raw, &r)
}

// Say sends a text frame.
func (s *Stream) Say(text string) {
	s.t.Helper()
	if err := s.Source.(*WSSource).Send(websocket.TextMessage, []byte(text)); err != nil {
		s.t.Fatalf("send %s: %v", Clip([]byte(text)), err)
	}
}

// Reply returns the next reply.
func (s *Stream) Reply() reply {
	s.t.Helper()
	select {
	case r, ok := <-s.Source.(*WSSource).Replies:
		if !ok {
			s.t.Fatalf("stream ended before the reply: %v", s.err)
		}
		return *r
	case <-time.After(Patience):
		s.t.Fatal("timed out waiting for a reply")
		return reply{}
	}
}

// Ask sends a frame and returns its reply as an Answer.
func (s *Stream) Ask(frame string) Answer {
	s.t.Helper()
	s.Say(frame)
	return s.Reply().Answer(s.t, frame)
}

func (r reply) Answer(t *testing.T, frame string) Answer {
	t.Helper()
	a := Answer{T: t, Call: "over the WebSocket " + Clip([]byte(frame)), Status: r.Status, Header: http.Header{}, Body: r.Body}
	for name, value := range r.Headers {
		a.Header.Set(name, value)
	}
	if a.Status >= 400 {
		a.Header.Set("Content-Type", "application/problem+json")
		checkProblem(func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s: "+format, append([]any{a.Call}, args...)...)
		}, a.Status, a.Header, a.Body)
		a.Header.Del("Content-Type")
	}
	return a
}

// Call is like Client.Do, but over the socket.
func (s *Stream) Call(method, target string, body any, headers ...string) Answer {
	s.t.Helper()
	return s.Ask(RequestFrame(s.t, "", method, target, body, headers...))
}

// RequestFrame returns the frame of a request. An empty ref is left out.
func RequestFrame(t *testing.T, ref, method, target string, body any, headers ...string) string {
	t.Helper()
	frame := map[string]any{"method": method, "path": target}
	if ref != "" {
		frame["ref"] = ref
	}
	h := map[string]string{}
	if text, is := body.(Raw); is {
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
