package program

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Requests for a stream that no stream can answer are answered and end; one over HTTP/1.0 is a stream as any other.
func TestStreamByOtherMethodsAndHTTP10(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for method, want := range map[string]int{"HEAD": 405, "PUT": 405, "DELETE": 405, "OPTIONS": 204} {
		s := p.socket(t)
		s.send("", method+" /v1/events?room=lobby HTTP/1.1", "Host: x", ada.bearer(), "Accept: text/event-stream", "Connection: close", "")
		_ = s.SetReadDeadline(time.Now().Add(patience))
		all, err := io.ReadAll(s.reader)
		if err != nil {
			t.Fatalf("%s does not end: %v", method, err)
		}
		head, body, _ := strings.Cut(string(all), "\r\n\r\n")
		if !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", want)) || !strings.Contains(head, "\r\nAllow: OPTIONS, GET, POST\r\n") {
			t.Errorf("%s is answered %s", method, head)
		}
		if (method == "HEAD" || method == "OPTIONS") && body != "" {
			t.Errorf("%s has the body %s", method, body)
		}
	}
	s := p.socket(t)
	s.send("", "GET /v1/events?room=lobby HTTP/1.0", ada.bearer(), "Accept: text/event-stream", "")
	_ = s.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(s.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || len(resp.TransferEncoding) > 0 {
		t.Fatalf("over HTTP/1.0 came %d with %v", resp.StatusCode, resp.TransferEncoding)
	}
	next := sseEvents(resp.Body)
	ada.post("lobby", "hi")
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
