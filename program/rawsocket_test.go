package program

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// socket is a TCP connection to the server, for what no HTTP client would send.
type socket struct {
	net.Conn
	t      *testing.T
	reader *bufio.Reader
}

func (s *testServer) socket(t *testing.T) *socket {
	t.Helper()
	conn, err := net.Dial("tcp", s.host(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &socket{Conn: conn, t: t, reader: bufio.NewReader(conn)}
}

// send writes lines, each ended by CR LF, and then body.
func (s *socket) send(body string, lines ...string) {
	s.t.Helper()
	if _, err := io.WriteString(s, strings.Join(lines, "\r\n")+"\r\n"+body); err != nil {
		s.t.Fatal(err)
	}
}

// answer reads one answer, which need not come at once. It does not check it against the contract:
// net/http refuses by itself what is no HTTP.
func (s *socket) answer(timeout time.Duration) (status int, header http.Header, body []byte, err error) {
	_ = s.SetReadDeadline(time.Now().Add(timeout))
	resp, err := http.ReadResponse(s.reader, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, err
}

func (c *client) bearer() string { return "Authorization: Bearer " + c.AccessToken }

func TestBrokenHTTPIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	head := ada.head()
	for name, request := range map[string]string{
		"bad percent-encoding":        "POST /v1/rooms/%zz/messages HTTP/1.1\r\nHost: x\r\n" + ada.bearer() + "\r\nContent-Length: 2\r\n\r\nhi",
		"percent at the end":          "PUT /v1/rooms/a% HTTP/1.1\r\nHost: x\r\n" + ada.bearer() + "\r\n\r\n",
		"a space in the path":         "PUT /v1/rooms/a b HTTP/1.1\r\nHost: x\r\n" + ada.bearer() + "\r\n\r\n",
		"no host":                     "PUT /v1/rooms/new HTTP/1.1\r\n" + ada.bearer() + "\r\n\r\n",
		"two lengths":                 "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.bearer() + "\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
		"a negative length":           "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.bearer() + "\r\nContent-Length: -2\r\n\r\nhi",
		"a chunk that is none":        "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.bearer() + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n",
		"a chunk longer than it says": "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.bearer() + "\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhi\r\n0\r\n\r\n",
		"an unknown encoding":         "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.bearer() + "\r\nTransfer-Encoding: rot13\r\n\r\nhi",
		"no HTTP at all":              "hello\r\n\r\n",
		"a header with a line break":  "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\n" + ada.bearer() + "\r\nIdempotency-Key: a\rb\r\nContent-Length: 2\r\n\r\nhi",
	} {
		t.Run(name, func(t *testing.T) {
			s := p.socket(t)
			s.send("", strings.TrimSuffix(request, "\r\n"))
			status, header, body, err := s.answer(patience)
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			if status < 400 || status >= 600 || status == 500 {
				t.Errorf("the answer is %d: %s", status, body)
			}
			if strings.HasPrefix(header.Get("Content-Type"), "application/") { // it came past net/http
				method, rest, _ := strings.Cut(request, " ")
				target, _, _ := strings.Cut(rest, " ")
				checkAnswer(t, method, target, status, header, body)
			}
			if now := ada.in(t).head(); now != head {
				t.Errorf("the log's head was %d and is %d", head, now)
			}
		})
	}
}

// A body that ends before its Content-Length is no message: half a text must not be posted.
func TestBodyCutShortIsNotPosted(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for _, framing := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
		s := p.socket(t)
		s.send("5\r\nhello\r\n", "POST /v1/rooms/lobby/messages HTTP/1.1", "Host: x", ada.bearer(), framing, "")
		if err := s.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		status, _, body, err := s.answer(patience)
		if err == nil && status < 400 {
			t.Errorf("with %s half a message was answered %d: %s", framing, status, body)
		}
	}
	if got := ada.history("lobby", ""); len(got.items) != 0 {
		t.Errorf("half a message was posted: %s", show(got.items))
	}
}

// ended reads until the server ends the connection, and fails the test where it does not within the limit.
func (s *socket) ended(limit time.Duration) []byte {
	s.t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(limit))
	text, err := io.ReadAll(s.reader)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Fatalf("the connection is still open after %v", limit)
	}
	return text
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	slow(t, "the header timeout is 5 s")
	p := startProgram(t)
	for name, text := range map[string]string{"nothing": "", "half a line": "GET /v1/me HT", "half a header": "GET /v1/me HTTP/1.1\r\nHost: x\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := p.socket(t)
			if _, err := io.WriteString(s, text); err != nil {
				t.Fatal(err)
			}
			s.ended(patience)
		})
	}
}

// A body that trickles may not hold a connection: the timeout is for the whole of it.
func TestSlowBodiesAreCutOff(t *testing.T) {
	slow(t, "the body timeout is 10 s")
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	head := ada.head()
	for name, pause := range map[string]time.Duration{"silent": time.Hour, "trickling": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := p.socket(t)
			s.send("h", "POST /v1/rooms/lobby/messages HTTP/1.1", "Host: x", ada.bearer(), "Content-Length: 3000", "")
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
			text := s.ended(patience)
			close(stop)
			<-trickle
			if bytes.HasPrefix(text, []byte("HTTP/1.1 2")) || bytes.HasPrefix(text, []byte("HTTP/1.1 500")) {
				t.Errorf("the answer was %s", text)
			}
		})
	}
	t.Cleanup(func() { // after the parallel subtests
		if now := ada.in(t).head(); now != head {
			t.Errorf("a message that never came whole was posted: the head was %d and is %d", head, now)
		}
	})
}
