package streams

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
)

func TestBrokenHTTPIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	head := ada.Head()
	for name, request := range map[string]string{
		"bad percent-encoding":        "POST /v1/rooms/%zz/messages HTTP/1.1\r\nHost: x\r\n" + ada.Bearer() + "\r\nContent-Length: 2\r\n\r\nhi",
		"percent at the end":          "PUT /v1/rooms/a% HTTP/1.1\r\nHost: x\r\n" + ada.Bearer() + "\r\n\r\n",
		"a space in the path":         "PUT /v1/rooms/a b HTTP/1.1\r\nHost: x\r\n" + ada.Bearer() + "\r\n\r\n",
		"no host":                     "PUT /v1/rooms/new HTTP/1.1\r\n" + ada.Bearer() + "\r\n\r\n",
		"two lengths":                 "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.Bearer() + "\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
		"a negative length":           "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.Bearer() + "\r\nContent-Length: -2\r\n\r\nhi",
		"a chunk that is none":        "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.Bearer() + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n",
		"a chunk longer than it says": "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.Bearer() + "\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n",
		"an unknown encoding":         "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.Bearer() + "\r\nTransfer-Encoding: rot13\r\n\r\nhi",
		"no HTTP at all":              "hello\r\n\r\n",
		"a header with a line break":  "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.Bearer() + "\r\nIdempotency-Key: a\rb\r\nContent-Length: 2\r\n\r\nhi",
	} {
		t.Run(name, func(t *testing.T) {
			s := p.Socket(t)
			s.Send("", strings.TrimSuffix(request, "\r\n"))
			status, header, body, err := s.Answer(harness.Patience)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			if status < 400 || status >= 600 || status == 500 {
				t.Errorf("response = %d: %s", status, body)
			}
			if strings.HasPrefix(header.Get("Content-Type"), "application/") { // net/http let it through
				method, rest, _ := strings.Cut(request, " ")
				target, _, _ := strings.Cut(rest, " ")
				harness.CheckAnswer(t, method, target, status, header, body)
			}
			if now := ada.In(t).Head(); now != head {
				t.Errorf("log head moved from %d to %d", head, now)
			}
		})
	}
}

// A body that ends before its Content-Length is refused: half a text must not be posted.
func TestTruncatedBodyIsNotPosted(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, framing := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
		s := p.Socket(t)
		s.Send("5\r\nhello\r\n", "POST /v1/rooms/lobby/messages HTTP/1.1", "Host: x", ada.Bearer(), framing, "")
		if err := s.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		status, _, body, err := s.Answer(harness.Patience)
		if err == nil && status < 400 {
			t.Errorf("%s: half a message got %d: %s", framing, status, body)
		}
	}
	if got := ada.History("lobby", ""); len(got.Items) != 0 {
		t.Errorf("half a message was posted: %s, want none", harness.Show(got.Items))
	}
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	harness.Slow(t, "the header timeout is 5 s")
	p := harness.StartProgram(t)
	for name, text := range map[string]string{"nothing": "", "half a line": "GET /v1/me HT", "half a header": "GET /v1/me HTTP/1.1\r\nHost: x\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := p.Socket(t)
			if _, err := io.WriteString(s, text); err != nil {
				t.Fatal(err)
			}
			s.Ended(harness.Patience)
		})
	}
}

// A body that trickles in must not hold a connection: the timeout applies to the whole body.
func TestSlowBodiesAreCutOff(t *testing.T) {
	harness.Slow(t, "the body timeout is 10 s")
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	head := ada.Head()
	for name, pause := range map[string]time.Duration{"silent": time.Hour, "trickling": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := p.Socket(t)
			s.Send("h", "POST /v1/rooms/lobby/messages HTTP/1.1", "Host: x", ada.Bearer(), "Content-Length: 3000", "")
			stop := make(chan struct{})
			trickle := make(chan struct{})
			go func() {
				defer close(trickle)
				for {
					select {
					case <-stop:
						return
					case <-time.After(pause):
						if _, err := io.WriteString(s, "i"); err != nil {
							return
						}
					}
				}
			}()
			text := s.Ended(harness.Patience)
			close(stop)
			<-trickle
			if bytes.HasPrefix(text, []byte("HTTP/1.1 2")) || bytes.HasPrefix(text, []byte("HTTP/1.1 500")) {
				t.Errorf("response = %s", text)
			}
		})
	}
	t.Cleanup(func() { // after the parallel subtests
		if now := ada.In(t).Head(); now != head {
			t.Errorf("incomplete message posted: log head moved from %d to %d", head, now)
		}
	})
}
