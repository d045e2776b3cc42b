package harness

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// StalledReader opens an SSE stream from which nobody reads.
func (s *Server) StalledReader(t *testing.T, c *Client, room string) *Socket {
	t.Helper()
	stalled := s.Socket(t)
	if err := stalled.Conn.(*net.TCPConn).SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
	stalled.Send("", fmt.Sprintf("GET /v1/events?room=%s HTTP/1.1", room), "Host: x", c.Bearer(), "Accept: text/event-stream", "")
	if line, err := stalled.Reader.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("the stream was answered %q, %v", line, err)
	}
	return stalled
}

// FillBuffers posts about 6 MB, more than the sockets between server and reader can hold.
func (c *Client) FillBuffers(room string) {
	c.T.Helper()
	text := strings.Repeat("😀", 4000)
	InParallel(8, func(int) {
		for range 50 {
			if _, err := c.TryPost(room, text); err != nil {
				c.T.Error(err)
				return
			}
		}
	})
	c.Post(room, "the last of many")
}
