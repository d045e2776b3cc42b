package streams

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tandem/e2e/harness"
)

func TestTransportIsChosenByHeaderOrFormat(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, headers := range [][]string{
		{"Accept: text/event-stream"}, {"Accept: */*"}, {"Accept: -"}, {"Accept: text/event-stream, */*;q=0.1"}, {"Accept: text/html,*/*;q=0.8"},
	} {
		s := ada.Open(harness.OverSSE, "room=lobby", headers...)
		s.Opening()
		s.Close()
	}
	s := ada.Open(harness.OverSSE, "room=lobby&format=sse", "Accept: */*")
	s.Opening()
	s = ada.Open(harness.OverWS, "room=lobby&format=ws")
	s.Opening()
	s = ada.Open(harness.OverWS, "room=lobby", "Sec-WebSocket-Protocol: -") // the subprotocol is optional
	s.Opening()
	// format=ws without the handshake of RFC 6455 cannot be answered with a stream.
	if got := ada.Do("GET", "/v1/events?room=lobby&format=ws", nil); got.Status != 400 && got.Status != 426 {
		t.Errorf("format=ws without an upgrade: got %d: %s", got.Status, got.Body)
	}
}

func TestForbiddenFramesCloseTheSocket(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, test := range []struct {
		name  string
		kind  int
		frame []byte
		code  int
	}{
		{"binary", websocket.BinaryMessage, []byte("{}"), websocket.CloseUnsupportedData},
		{"invalid UTF-8", websocket.TextMessage, []byte("{\"a\":\"\xff\"}"), websocket.CloseInvalidFramePayloadData},
		{"64 KiB and a byte", websocket.TextMessage, bytes.Repeat([]byte(" "), harness.TooLarge), websocket.CloseMessageTooBig},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := ada.In(t).Open(harness.OverWS, "room=lobby")
			s.Opening()
			if err := s.Source.(*harness.WSSource).Send(test.kind, test.frame); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Ending(); harness.CloseCode(err) != test.code {
				t.Errorf("the socket closed with %v, want %d", err, test.code)
			}
		})
	}
}

// A client's ping gets a pong, and the stream continues.
func TestSocketAnswersPings(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	s := ada.Open(harness.OverWS, "room=lobby")
	source := s.Source.(*harness.WSSource)
	s.Opening()
	if err := source.Send(websocket.PingMessage, []byte("are you there")); err != nil {
		t.Fatal(err)
	}
	ada.Post("lobby", "marker")
	s.Message("marker")
	select {
	case text := <-source.Pongs:
		if text != "are you there" {
			t.Errorf("the pong says %q, want \"are you there\"", text)
		}
	case <-time.After(harness.Patience):
		t.Error("no pong received")
	}
}

// An invalid RFC 6455 handshake is refused like any other bad request.
func TestBadHandshakesAreRefused(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	good := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	for name, lines := range map[string][]string{
		"no key":          good[:3],
		"a short key":     append(slices.Clone(good[:3]), "Sec-WebSocket-Key: c2hvcnQ="),
		"no version":      {good[0], good[1], good[3]},
		"another version": {good[0], good[1], "Sec-WebSocket-Version: 8", good[3]},
	} {
		t.Run(name, func(t *testing.T) {
			s := p.Socket(t)
			const target = "/v1/events?room=lobby"
			s.Send("", append([]string{"GET " + target + " HTTP/1.1", "Host: x", ada.Bearer(), "Accept: */*"}, append(lines, "")...)...)
			status, header, body, err := s.Answer(harness.Patience)
			if err != nil {
				t.Fatal(err)
			}
			if status != 400 && status != 426 {
				t.Errorf("response = %d", status)
			}
			harness.CheckAnswer(t, "GET", target, status, header, body)
		})
	}
}
