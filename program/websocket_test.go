package program

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestTransportIsChosenByHeaderOrFormat(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for _, headers := range [][]string{
		{"Accept: text/event-stream"}, {"Accept: */*"}, {"Accept: -"}, {"Accept: text/event-stream, */*;q=0.1"}, {"Accept: text/html,*/*;q=0.8"},
	} {
		s := ada.open(overSSE, "room=lobby", headers...)
		s.opening()
		s.close()
	}
	s := ada.open(overSSE, "room=lobby&format=sse", "Accept: */*")
	s.opening()
	s = ada.open(overWS, "room=lobby&format=ws")
	s.opening()
	s = ada.open(overWS, "room=lobby", "Sec-WebSocket-Protocol: -") // the subprotocol is optional
	s.opening()
	// format=ws without the handshake of RFC 6455 cannot be answered with a stream.
	if got := ada.do("GET", "/v1/events?room=lobby&format=ws", nil); got.status != 400 && got.status != 426 {
		t.Errorf("format=ws without an upgrade got %d: %s", got.status, got.body)
	}
}

func TestFramesThatAClientMayNotSendCloseTheSocket(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for _, test := range []struct {
		name  string
		kind  int
		frame []byte
		code  int
	}{
		{"binary", websocket.BinaryMessage, []byte("{}"), websocket.CloseUnsupportedData},
		{"invalid UTF-8", websocket.TextMessage, []byte("{\"a\":\"\xff\"}"), websocket.CloseInvalidFramePayloadData},
		{"64 KiB and a byte", websocket.TextMessage, bytes.Repeat([]byte(" "), tooLarge), websocket.CloseMessageTooBig},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := ada.in(t).open(overWS, "room=lobby")
			s.opening()
			if err := s.source.(*wsSource).send(test.kind, test.frame); err != nil {
				t.Fatal(err)
			}
			if _, err := s.ending(); closeCode(err) != test.code {
				t.Errorf("the socket closed with %v, not %d", err, test.code)
			}
		})
	}
}

// A client's own ping gets its pong, and the stream goes on.
func TestSocketAnswersPings(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	s := ada.open(overWS, "room=lobby")
	source := s.source.(*wsSource)
	s.opening()
	if err := source.send(websocket.PingMessage, []byte("are you there")); err != nil {
		t.Fatal(err)
	}
	ada.post("lobby", "marker")
	s.message("marker")
	select {
	case text := <-source.pongs:
		if text != "are you there" {
			t.Errorf("the pong says %q", text)
		}
	case <-time.After(patience):
		t.Error("no pong came")
	}
}

// A handshake that RFC 6455 does not know is refused as any other bad request is.
func TestBadHandshakesAreRefused(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	good := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	for name, lines := range map[string][]string{
		"no key":          good[:3],
		"a short key":     append(slices.Clone(good[:3]), "Sec-WebSocket-Key: c2hvcnQ="),
		"no version":      {good[0], good[1], good[3]},
		"another version": {good[0], good[1], "Sec-WebSocket-Version: 8", good[3]},
	} {
		t.Run(name, func(t *testing.T) {
			s := p.socket(t)
			const target = "/v1/events?room=lobby"
			s.send("", append([]string{"GET " + target + " HTTP/1.1", "Host: x", ada.bearer(), "Accept: */*"}, append(lines, "")...)...)
			status, header, body, err := s.answer(patience)
			if err != nil {
				t.Fatal(err)
			}
			if status != 400 && status != 426 {
				t.Errorf("the answer is %d", status)
			}
			checkAnswer(t, "GET", target, status, header, body)
		})
	}
}
