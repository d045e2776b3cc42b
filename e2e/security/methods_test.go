package security

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// Stream requests with other methods are answered and end. One over HTTP/1.0 gets a normal stream.
func TestStreamByOtherMethodsAndHTTP10(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for method, want := range map[string]int{"HEAD": 405, "PUT": 405, "DELETE": 405, "OPTIONS": 204} {
		s := p.Socket(t)
		s.Send("", method+" /v1/events?room=lobby HTTP/1.1", "Host: x", ada.Bearer(), "Accept: text/event-stream", "Connection: close", "")
		_ = s.SetReadDeadline(time.Now().Add(harness.Patience))
		all, err := io.ReadAll(s.Reader)
		if err != nil {
			t.Fatalf("%s: response does not end: %v", method, err)
		}
		head, body, _ := strings.Cut(string(all), "\r\n\r\n")
		if !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", want)) || !strings.Contains(head, "\r\nAllow: OPTIONS, GET, POST\r\n") {
			t.Errorf("%s is answered %s", method, head)
		}
		if (method == "HEAD" || method == "OPTIONS") && body != "" {
			t.Errorf("%s: body = %s, want none", method, body)
		}
	}
	s := p.Socket(t)
	s.Send("", "GET /v1/events?room=lobby HTTP/1.0", ada.Bearer(), "Accept: text/event-stream", "")
	_ = s.SetReadDeadline(time.Now().Add(harness.Patience))
	resp, err := http.ReadResponse(s.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || len(resp.TransferEncoding) > 0 {
		t.Fatalf("HTTP/1.0: got status %d, transfer encoding %v", resp.StatusCode, resp.TransferEncoding)
	}
	next := harness.SSEEvents(resp.Body)
	ada.Post("lobby", "hi")
	for {
		e, err := next()
		if err != nil {
			t.Fatal(err)
		}
		if e.Message == "hi" {
			return
		}
	}
}
