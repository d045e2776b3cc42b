package program

import (
	"bytes"
	encoding "encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// What a client may send and what it may not, byte by byte (RFC 6455 §5 to §8): gorilla's client would send none of it.

// wireFrame is a masked frame, as a client sends it.
func wireFrame(first byte, payload string) string {
	return wireFrameOf(first, payload, lengthOf(len(payload)))
}

func lengthOf(n int) []byte {
	switch {
	case n < 126:
		return []byte{byte(n)}
	case n < 1<<16:
		return encoding.BigEndian.AppendUint16([]byte{126}, uint16(n))
	}
	return encoding.BigEndian.AppendUint64([]byte{127}, uint64(n))
}

// wireFrameOf is a frame whose length is written as given.
func wireFrameOf(first byte, payload string, length []byte) string {
	mask := [4]byte{0x12, 0xfe, 0, 0x7d}
	b := append([]byte{first}, length...)
	b[1] |= 0x80
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return string(b)
}

const (
	fin           = 0x80
	opContinue    = 0x0
	opText        = 0x1
	opBinary      = 0x2
	opClose       = 0x8
	opPing        = 0x9
	opPong        = 0xa
	getMe         = `{"ref":"me","method":"GET","path":"/v1/me"}`
	cyrillic      = "{\"ref\":\"\u044f\U0001F600\"}" // its reply repeats the ref
	handshakeHead = "GET /v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

func closePayload(code int, reason string) string {
	return string(encoding.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// upgrade opens a stream of the inbox by hand.
func (c *client) upgrade(s *socket) {
	c.t.Helper()
	s.send("", strings.TrimSuffix(handshakeHead, "\r\n"), c.bearer(), "")
	var head bytes.Buffer
	_ = s.SetReadDeadline(time.Now().Add(patience))
	for !bytes.HasSuffix(head.Bytes(), []byte("\r\n\r\n")) {
		b, err := s.reader.ReadByte()
		if err != nil {
			c.t.Fatal(err)
		}
		head.WriteByte(b)
	}
	// RFC 6455 §1.3 has this key and its answer as an example.
	if text := head.String(); !strings.HasPrefix(text, "HTTP/1.1 101 ") || !strings.Contains(text, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") {
		c.t.Fatalf("the handshake was answered %s", text)
	}
}

// frame reads one frame of the server's.
func (s *socket) frame() (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(s.reader, head[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1])
	var long [8]byte
	switch {
	case head[0]&0xf0 != fin || n > 127:
		s.t.Fatalf("the server's frame begins with %x: fragmented, masked or with reserved bits", head)
	case n == 126:
		_, err = io.ReadFull(s.reader, long[6:])
		n = encoding.BigEndian.Uint64(long[:])
	case n == 127:
		_, err = io.ReadFull(s.reader, long[:])
		n = encoding.BigEndian.Uint64(long[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(s.reader, payload)
	return head[0] & 0xf, payload, err
}

// outcome is what the server does with what was sent: its replies, pongs and close code, 0 where it only ended.
type outcome struct {
	replies, pongs []string
	code           int
}

// outcome reads to the end of the connection.
func (s *socket) outcome() (o outcome) {
	s.t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(patience))
	for {
		opcode, payload, err := s.frame()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			s.t.Fatalf("the connection is still open; until now came %+v", o)
		case err != nil:
			return o
		case o.code != 0:
			s.t.Errorf("a frame came behind the close frame: %s", payload)
		case opcode == opPong:
			o.pongs = append(o.pongs, string(payload))
		case opcode == opClose:
			o.code = int(encoding.BigEndian.Uint16(payload))
		case opcode == opText && bytes.HasPrefix(payload, []byte(`{"type":"reply"`)):
			r, err := parseReply(payload)
			if err != nil {
				s.t.Error(err)
			}
			o.replies = append(o.replies, string(r.raw))
		}
	}
}

func TestFramesFollowRFC6455(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	bye := wireFrame(fin|opClose, closePayload(1000, ""))
	split := func(text string, at ...int) (frames string) { // a text message in fragments
		first := byte(opText)
		for from := 0; ; first = opContinue {
			if len(at) == 0 {
				return frames + wireFrame(fin|first, text[from:])
			}
			frames += wireFrame(first, text[from:at[0]])
			from, at = at[0], at[1:]
		}
	}
	ping := wireFrame(fin|opPing, "p")
	half := strings.Index(cyrillic, "я") + 1 // within the character
	tests := []struct {
		name    string
		sent    string
		code    int
		replies []string // a part of each
		pongs   []string
	}{
		{"a command and a close", wireFrame(fin|opText, getMe) + bye, 1000, []string{`"ref":"me","status":200`}, nil},
		{"no payload at all", wireFrame(fin|opText, "") + bye, 1000, []string{`"status":400`}, nil},
		{"a length of 125", wireFrame(fin|opText, getMe+strings.Repeat(" ", 125-len(getMe))) + bye, 1000, []string{`"status":200`}, nil},
		{"a length of 126", wireFrame(fin|opText, getMe+strings.Repeat(" ", 126-len(getMe))) + bye, 1000, []string{`"status":200`}, nil},
		{"a length of 65535", wireFrame(fin|opText, getMe+strings.Repeat(" ", 65535-len(getMe))) + bye, 1000, []string{`"status":200`}, nil},
		{"a length of 64 KiB", wireFrame(fin|opText, getMe+strings.Repeat(" ", 65536-len(getMe))) + bye, 1000, []string{`"status":200`}, nil},
		{"64 KiB and a byte", wireFrame(fin|opText, strings.Repeat(" ", 65537)), 1009, nil, nil},
		{"64 KiB and a byte in fragments", split(strings.Repeat(" ", 65537), 40000), 1009, nil, nil},
		{"a length of 2^63-1", wireFrameOf(fin|opText, "", []byte{127, 0x7f, 255, 255, 255, 255, 255, 255, 255}), 1009, nil, nil},
		{"a length with the highest bit", wireFrameOf(fin|opText, "", []byte{127, 0x80, 0, 0, 0, 0, 0, 0, 1}), 1002, nil, nil},
		{"a short length in 16 bits", wireFrameOf(fin|opText, getMe, []byte{126, 0, byte(len(getMe))}), 1002, nil, nil},
		{"a short length in 64 bits", wireFrameOf(fin|opText, getMe, []byte{127, 0, 0, 0, 0, 0, 0, 0, byte(len(getMe))}), 1002, nil, nil},
		{"a middle length in 64 bits", wireFrameOf(fin|opText, strings.Repeat(" ", 200), []byte{127, 0, 0, 0, 0, 0, 0, 0, 200}), 1002, nil, nil},

		{"unmasked text", "\x81\x02{}", 1002, nil, nil},
		{"unmasked ping", "\x89\x00", 1002, nil, nil},
		{"unmasked close", "\x88\x02\x03\xe8", 1002, nil, nil},
		{"RSV1", wireFrame(fin|0x40|opText, getMe), 1002, nil, nil},
		{"RSV2", wireFrame(fin|0x20|opText, getMe), 1002, nil, nil},
		{"RSV3", wireFrame(fin|0x10|opText, getMe), 1002, nil, nil},
		{"RSV1 in a ping", wireFrame(fin|0x40|opPing, ""), 1002, nil, nil},
		{"opcode 3", wireFrame(fin|3, ""), 1002, nil, nil},
		{"opcode 7", wireFrame(fin|7, ""), 1002, nil, nil},
		{"opcode 11", wireFrame(fin|11, ""), 1002, nil, nil},
		{"opcode 15", wireFrame(fin|15, ""), 1002, nil, nil},
		{"binary", wireFrame(fin|opBinary, "{}"), 1003, nil, nil},
		{"binary in fragments", wireFrame(opBinary, "{"), 1003, nil, nil},

		{"two fragments", split(getMe, 5) + bye, 1000, []string{`"ref":"me","status":200`}, nil},
		{"a fragment for each byte", split(`{"ref":"x"}`, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10) + bye, 1000, []string{`"ref":"x","status":400`}, nil},
		{"empty fragments", split(getMe, 0, 0, 5, 5, len(getMe)) + bye, 1000, []string{`"status":200`}, nil},
		{"a ping between fragments", wireFrame(opText, getMe[:5]) + ping + wireFrame(fin|opContinue, getMe[5:]) + bye, 1000, []string{`"status":200`}, []string{"p"}},
		{"a pong between fragments", wireFrame(opText, getMe[:5]) + wireFrame(fin|opPong, "") + wireFrame(fin|opContinue, getMe[5:]) + bye, 1000, []string{`"status":200`}, nil},
		{"a close between fragments", wireFrame(opText, getMe[:5]) + bye, 1000, nil, nil},
		{"a continuation of nothing", wireFrame(fin|opContinue, getMe), 1002, nil, nil},
		{"a continuation of a whole message", wireFrame(fin|opText, getMe) + wireFrame(fin|opContinue, getMe), 1002, nil, nil},
		{"text within text", wireFrame(opText, getMe[:5]) + wireFrame(fin|opText, getMe), 1002, nil, nil},
		{"binary within text", wireFrame(opText, getMe[:5]) + wireFrame(fin|opBinary, getMe), 1002, nil, nil},

		{"pings", wireFrame(fin|opPing, "") + wireFrame(fin|opPing, "\x00\xff") + wireFrame(fin|opPing, strings.Repeat("p", 125)) + bye, 1000, nil, []string{"", "\x00\xff", strings.Repeat("p", 125)}},
		{"a pong that nobody asked for", wireFrame(fin|opPong, "x") + bye, 1000, nil, nil},
		{"a ping of 126", wireFrame(fin|opPing, strings.Repeat("p", 126)), 1002, nil, nil},
		{"a close of 126", wireFrame(fin|opClose, closePayload(1000, strings.Repeat("p", 124))), 1002, nil, nil},
		{"a fragmented ping", wireFrame(opPing, "p"), 1002, nil, nil},
		{"a fragmented close", wireFrame(opClose, ""), 1002, nil, nil},

		{"close without a code", wireFrame(fin|opClose, ""), 1000, nil, nil},
		{"close with half a code", wireFrame(fin|opClose, "\x03"), 1002, nil, nil},
		{"close with a reason", wireFrame(fin|opClose, closePayload(1001, "tschüss")), 1001, nil, nil},
		{"close with a reason of 123", wireFrame(fin|opClose, closePayload(1000, strings.Repeat("x", 123))), 1000, nil, nil},
		{"close with a reason that is no UTF-8", wireFrame(fin|opClose, closePayload(1000, "\xff")), 1007, nil, nil},
		{"frames behind a close", bye + wireFrame(fin|opText, getMe) + ping, 1000, nil, nil},

		{"UTF-8 split between fragments", split(cyrillic, half, half+2, half+3, half+4) + bye, 1000, []string{"\"ref\":\"\u044f\U0001F600\""}, nil},
		{"UTF-8 that ends early", split(cyrillic[:half]), 1007, nil, nil},
		{"UTF-8 that ends early in its last fragment", split(cyrillic[:half], 3), 1007, nil, nil},
		// At once: the frame says that 100 bytes come, and a message that more fragments do.
		{"no UTF-8 in an unfinished frame", wireFrameOf(fin|opText, "{\xc3\x28", []byte{100}), 1007, nil, nil},
		{"no UTF-8 in an unfinished message", wireFrame(opText, "{\xff"), 1007, nil, nil},
		{"a surrogate", wireFrame(opText, "\xed\xa0\x80"), 1007, nil, nil},
		{"an overlong form", wireFrame(opText, "\xc0\xaf"), 1007, nil, nil},
		{"beyond Unicode", wireFrame(opText, "\xf4\x90"), 1007, nil, nil},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		tests = append(tests, tests[0])
		last := &tests[len(tests)-1]
		last.name, last.sent, last.code, last.replies = "close code", wireFrame(fin|opClose, closePayload(code, "")), code, nil
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535} {
		tests = append(tests, tests[0])
		last := &tests[len(tests)-1]
		last.name, last.sent, last.code, last.replies = "no close code", wireFrame(fin|opClose, closePayload(code, "")), 1002, nil
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, pieces := range []bool{false, true} { // in one write, and byte by byte where it is not too long for that
				if pieces && len(test.sent) > 500 {
					continue
				}
				s := p.socket(t)
				ada.in(t).upgrade(s)
				if pieces {
					for i := range len(test.sent) {
						if _, err := io.WriteString(s, test.sent[i:i+1]); err != nil {
							break // the server has ended the connection on what it saw
						}
					}
				} else if _, err := io.WriteString(s, test.sent); err != nil {
					t.Fatal(err)
				}
				got := s.outcome()
				if got.code != test.code {
					t.Errorf("the close code is %d, not %d", got.code, test.code)
				}
				if test.code == 1002 {
					// Whether what came before a breach is still answered is a matter of time.
				} else if len(got.replies) != len(test.replies) {
					t.Errorf("the replies are %q", got.replies)
				} else {
					for i, part := range test.replies {
						if !strings.Contains(got.replies[i], part) {
							t.Errorf("the reply %s has no %s", got.replies[i], part)
						}
					}
				}
				if strings.Join(got.pongs, "|") != strings.Join(test.pongs, "|") || len(got.pongs) != len(test.pongs) {
					t.Errorf("the pongs are %q", got.pongs)
				}
			}
		})
	}
}

// A client must wait for the answer to its handshake (RFC 6455 §4.1); one that does not gets no stream.
func TestFramesBeforeTheHandshakeIsAnsweredEndTheConnection(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	s := p.socket(t)
	s.send(wireFrame(fin|opText, getMe), strings.TrimSuffix(handshakeHead, "\r\n"), ada.bearer(), "")
	if text := s.ended(patience); bytes.Contains(text, []byte(`"reply"`)) || bytes.Contains(text, []byte("stream_open")) {
		t.Errorf("the answer is %s", text)
	}
}

// The subprotocol is ours or none; a client's others are left unanswered, and then it may go.
func TestSubprotocolIsNegotiated(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	for offered, want := range map[string]string{"tandem.v1": "tandem.v1", "graphql-ws, tandem.v1": "tandem.v1", "graphql-ws": "", "tandem.v2": ""} {
		s := p.socket(t)
		s.send("", strings.TrimSuffix(handshakeHead, "\r\n"), "Sec-WebSocket-Protocol: "+offered, ada.bearer(), "")
		_ = s.SetReadDeadline(time.Now().Add(patience))
		var head strings.Builder
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			b, err := s.reader.ReadByte()
			if err != nil {
				t.Fatal(err)
			}
			head.WriteByte(b)
		}
		got := ""
		if _, rest, has := strings.Cut(head.String(), "\r\nSec-WebSocket-Protocol: "); has {
			got, _, _ = strings.Cut(rest, "\r\n")
		}
		if got != want || !strings.HasPrefix(head.String(), "HTTP/1.1 101 ") {
			t.Errorf("offered %q, the server takes %q: %s", offered, got, head.String())
		}
	}
}
