package security

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// When many streams reach the memory limit, new ones are refused on every transport, open ones and posts continue, and
// new ones are accepted again after some have closed.
func TestNearTheMemoryLimitNewStreamsAreRefused(t *testing.T) {
	t.Parallel()
	p := harness.StartBinary(t, t.TempDir(), "GOMEMLIMIT=24MiB") // an idle server uses about 12, or 17 with the app
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	query := "room=lobby" // a margin, so that a stream has weight
	for i := range 30 {
		name := fmt.Sprint("room", i)
		ada.Enter(name)
		query += "&room=" + name
	}
	follower := ada.Open(harness.OverSSE, "room=lobby")

	var crowd []*harness.Socket
	for refused := false; !refused; {
		if len(crowd) == 9_000 {
			t.Fatalf("%d streams opened, none refused", len(crowd))
		}
		s := p.Socket(t)
		s.Send("", "GET /v1/events?"+query+" HTTP/1.1", "Host: x", ada.Bearer(), "Accept: text/event-stream", "")
		_ = s.SetReadDeadline(time.Now().Add(harness.Patience))
		line, err := s.Reader.ReadString('\n')
		switch {
		case err != nil:
			t.Fatal(err)
		case line == "HTTP/1.1 200 OK\r\n":
			crowd = append(crowd, s)
			s.Reader = nil // the test's own memory
		case line == "HTTP/1.1 503 Service Unavailable\r\n":
			refused = true
		default:
			t.Fatalf("opening a stream: response = %q", line)
		}
	}
	if len(crowd) < 100 {
		t.Fatalf("only %d streams opened before the limit", len(crowd))
	}
	for _, over := range harness.Transports {
		a := ada.Refused(over, "room=lobby")
		a.WantProblem(503, "unavailable", "")
		if s, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || s < 2 {
			t.Errorf("%s: Retry-After = %q", over, a.Header.Get("Retry-After"))
		}
	}
	posted := ada.Post("lobby", "posts go on")
	if got := follower.UntilMessage("posts go on"); got[len(got)-1].ID != posted.ID {
		t.Errorf("follower got %v", got)
	}
	for _, s := range crowd {
		s.Close()
	}
	for deadline := time.Now().Add(harness.Patience); ; time.Sleep(50 * time.Millisecond) {
		s, refused, err := ada.Dial(harness.OverSSE, harness.Dialing{Query: "room=lobby"})
		if err != nil {
			t.Fatal(err)
		}
		if refused == nil {
			s.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("streams still refused after nearly all ended")
		}
	}
}
