package program

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// A stalled reader delays nobody, and is closed within 60 s: that it is gone is seen 3 s later, when it leaves
// the room.
func TestStalledReaderIsClosedAndDelaysNobody(t *testing.T) {
	slow(t, "a stalled reader has up to 60 s")
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	stalled := p.stalledReader(t, bob, "lobby")
	live := []*stream{ada.open(overSSE, "room=lobby"), ada.open(overWS, "room=lobby")}
	for _, s := range live {
		if s.opening(); s.lists["lobby"].Count != 2 {
			t.Fatalf("bob is not there: %s", s.lists["lobby"].raw)
		}
	}
	ada.fillBuffers("lobby")
	for _, s := range live {
		s.untilMessage("the last of many")
	}
	for deadline, left := time.Now().Add(65*time.Second), false; !left; {
		e, err := live[0].next(time.Until(deadline))
		if err != nil {
			t.Fatalf("waiting for the stalled reader to be closed: %v", err)
		}
		left = e.Type == "user_leave" && e.User == "bob"
	}
	ada.post("lobby", "past its time")
	if rest := stalled.ended(patience); bytes.Contains(rest, []byte("past its time")) {
		t.Error("the stalled stream lives on after it left")
	}
	live[1].untilMessage("past its time")
}

// stalledReader opens a stream over SSE from which nobody reads.
func (s *testServer) stalledReader(t *testing.T, c *client, room string) *socket {
	t.Helper()
	stalled := s.socket(t)
	if err := stalled.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	stalled.send("", fmt.Sprintf("GET /v1/events?room=%s HTTP/1.1", room), "Host: x", c.bearer(), "Accept: text/event-stream", "")
	if line, err := stalled.reader.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("the stream was answered %q, %v", line, err)
	}
	return stalled
}

// fillBuffers posts more than the sockets between server and reader hold: some 6 MB.
func (c *client) fillBuffers(room string) {
	c.t.Helper()
	text := strings.Repeat("😀", 4000)
	inParallel(8, func(int) {
		for range 50 {
			if _, err := c.tryPost(room, text); err != nil {
				c.t.Error(err)
				return
			}
		}
	})
	c.post(room, "the last of many")
}
