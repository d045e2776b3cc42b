package harness

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Socket is a TCP connection to the server, to send what no HTTP client would.
type Socket struct {
	net.Conn
	t      *testing.T
	Reader *bufio.Reader
}

func (s *Server) Socket(t *testing.T) *Socket {
	t.Helper()
	conn, err := net.Dial("tcp", s.Host(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &Socket{Conn: conn, t: t, Reader: bufio.NewReader(conn)}
}

// Send writes lines, each followed by CR LF, and then body.
func (s *Socket) Send(body string, lines ...string) {
	s.t.Helper()
	if _, err := io.WriteString(s, strings.Join(lines, "\r\n")+"\r\n"+body); err != nil {
		s.t.Fatal(err)
	}
}

// Answer waits for an answer. It does not check it against the contract: net/http itself refuses requests that are not
// valid HTTP.
func (s *Socket) Answer(timeout time.Duration) (status int, header http.Header, body []byte, err error) {
	_ = s.SetReadDeadline(time.Now().Add(timeout))
	resp, err := http.ReadResponse(s.Reader, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, err
}

func (c *Client) Bearer() string { return "Authorization: Bearer " + c.AccessToken }

// Ended fails the test unless the server ends the connection within the limit.
func (s *Socket) Ended(limit time.Duration) []byte {
	s.t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(limit))
	text, err := io.ReadAll(s.Reader)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Fatalf("the connection is still open after %v", limit)
	}
	return text
}
