package streams

import (
	"bytes"
	encoding "encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
)

func closePayload(code int, reason string) string {
	return string(encoding.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

func TestFramesFollowRFC6455(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	bye := harness.WireFrame(harness.Fin|harness.OpClose, closePayload(1000, ""))
	split := func(text string, at ...int) (frames string) { // a text message in fragments
		first := byte(harness.OpText)
		for from := 0; ; first = harness.OpContinue {
			if len(at) == 0 {
				return frames + harness.WireFrame(harness.Fin|first, text[from:])
			}
			frames += harness.WireFrame(first, text[from:at[0]])
			from, at = at[0], at[1:]
		}
	}
	ping := harness.WireFrame(harness.Fin|harness.OpPing, "p")
	half := strings.Index(harness.Cyrillic, "я") + 1 // within the character
	tests := []struct {
		name    string
		sent    string
		code    int
		replies []string // part of each
		pongs   []string
	}{
		{"a command and a close", harness.WireFrame(harness.Fin|harness.OpText, harness.GetMe) + bye, 1000, []string{`"ref":"me","status":200`}, nil},
		{"no payload at all", harness.WireFrame(harness.Fin|harness.OpText, "") + bye, 1000, []string{`"status":400`}, nil},
		{"a length of 125", harness.WireFrame(harness.Fin|harness.OpText, harness.GetMe+strings.Repeat(" ", 125-len(harness.GetMe))) + bye, 1000, []string{`"status":200`}, nil},
		{"a length of 126", harness.WireFrame(harness.Fin|harness.OpText, harness.GetMe+strings.Repeat(" ", 126-len(harness.GetMe))) + bye, 1000, []string{`"status":200`}, nil},
		{"a length of 65535", harness.WireFrame(harness.Fin|harness.OpText, harness.GetMe+strings.Repeat(" ", 65535-len(harness.GetMe))) + bye, 1000, []string{`"status":200`}, nil},
		{"a length of 64 KiB", harness.WireFrame(harness.Fin|harness.OpText, harness.GetMe+strings.Repeat(" ", 65536-len(harness.GetMe))) + bye, 1000, []string{`"status":200`}, nil},
		{"64 KiB and a byte", harness.WireFrame(harness.Fin|harness.OpText, strings.Repeat(" ", 65537)), 1009, nil, nil},
		{"64 KiB and a byte in fragments", split(strings.Repeat(" ", 65537), 40000), 1009, nil, nil},
		{"a length of 2^63-1", harness.WireFrameOf(harness.Fin|harness.OpText, "", []byte{127, 0x7f, 255, 255, 255, 255, 255, 255, 255}), 1009, nil, nil},
		{"a length with the highest bit", harness.WireFrameOf(harness.Fin|harness.OpText, "", []byte{127, 0x80, 0, 0, 0, 0, 0, 0, 1}), 1002, nil, nil},
		{"a short length in 16 bits", harness.WireFrameOf(harness.Fin|harness.OpText, harness.GetMe, []byte{126, 0, byte(len(harness.GetMe))}), 1002, nil, nil},
		{"a short length in 64 bits", harness.WireFrameOf(harness.Fin|harness.OpText, harness.GetMe, []byte{127, 0, 0, 0, 0, 0, 0, 0, byte(len(harness.GetMe))}), 1002, nil, nil},
		{"a middle length in 64 bits", harness.WireFrameOf(harness.Fin|harness.OpText, strings.Repeat(" ", 200), []byte{127, 0, 0, 0, 0, 0, 0, 0, 200}), 1002, nil, nil},

		{"unmasked text", "\x81\x02{}", 1002, nil, nil},
		{"unmasked ping", "\x89\x00", 1002, nil, nil},
		{"unmasked close", "\x88\x02\x03\xe8", 1002, nil, nil},
		{"RSV1", harness.WireFrame(harness.Fin|0x40|harness.OpText, harness.GetMe), 1002, nil, nil},
		{"RSV2", harness.WireFrame(harness.Fin|0x20|harness.OpText, harness.GetMe), 1002, nil, nil},
		{"RSV3", harness.WireFrame(harness.Fin|0x10|harness.OpText, harness.GetMe), 1002, nil, nil},
		{"RSV1 in a ping", harness.WireFrame(harness.Fin|0x40|harness.OpPing, ""), 1002, nil, nil},
		{"opcode 3", harness.WireFrame(harness.Fin|3, ""), 1002, nil, nil},
		{"opcode 7", harness.WireFrame(harness.Fin|7, ""), 1002, nil, nil},
		{"opcode 11", harness.WireFrame(harness.Fin|11, ""), 1002, nil, nil},
		{"opcode 15", harness.WireFrame(harness.Fin|15, ""), 1002, nil, nil},
		{"binary", harness.WireFrame(harness.Fin|harness.OpBinary, "{}"), 1003, nil, nil},
		{"binary in fragments", harness.WireFrame(harness.OpBinary, "{"), 1003, nil, nil},

		{"two fragments", split(harness.GetMe, 5) + bye, 1000, []string{`"ref":"me","status":200`}, nil},
		{"a fragment for each byte", split(`{"ref":"x"}`, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10) + bye, 1000, []string{`"ref":"x","status":400`}, nil},
		{"empty fragments", split(harness.GetMe, 0, 0, 5, 5, len(harness.GetMe)) + bye, 1000, []string{`"status":200`}, nil},
		{"a ping between fragments", harness.WireFrame(harness.OpText, harness.GetMe[:5]) + ping + harness.WireFrame(harness.Fin|harness.OpContinue, harness.GetMe[5:]) + bye, 1000, []string{`"status":200`}, []string{"p"}},
		{"a pong between fragments", harness.WireFrame(harness.OpText, harness.GetMe[:5]) + harness.WireFrame(harness.Fin|harness.OpPong, "") + harness.WireFrame(harness.Fin|harness.OpContinue, harness.GetMe[5:]) + bye, 1000, []string{`"status":200`}, nil},
		{"a close between fragments", harness.WireFrame(harness.OpText, harness.GetMe[:5]) + bye, 1000, nil, nil},
		{"a continuation of nothing", harness.WireFrame(harness.Fin|harness.OpContinue, harness.GetMe), 1002, nil, nil},
		{"a continuation of a whole message", harness.WireFrame(harness.Fin|harness.OpText, harness.GetMe) + harness.WireFrame(harness.Fin|harness.OpContinue, harness.GetMe), 1002, nil, nil},
		{"text within text", harness.WireFrame(harness.OpText, harness.GetMe[:5]) + harness.WireFrame(harness.Fin|harness.OpText, harness.GetMe), 1002, nil, nil},
		{"binary within text", harness.WireFrame(harness.OpText, harness.GetMe[:5]) + harness.WireFrame(harness.Fin|harness.OpBinary, harness.GetMe), 1002, nil, nil},

		{"pings", harness.WireFrame(harness.Fin|harness.OpPing, "") + harness.WireFrame(harness.Fin|harness.OpPing, "\x00\xff") + harness.WireFrame(harness.Fin|harness.OpPing, strings.Repeat("p", 125)) + bye, 1000, nil, []string{"", "\x00\xff", strings.Repeat("p", 125)}},
		{"a pong that nobody asked for", harness.WireFrame(harness.Fin|harness.OpPong, "x") + bye, 1000, nil, nil},
		{"a ping of 126", harness.WireFrame(harness.Fin|harness.OpPing, strings.Repeat("p", 126)), 1002, nil, nil},
		{"a close of 126", harness.WireFrame(harness.Fin|harness.OpClose, closePayload(1000, strings.Repeat("p", 124))), 1002, nil, nil},
		{"a fragmented ping", harness.WireFrame(harness.OpPing, "p"), 1002, nil, nil},
		{"a fragmented close", harness.WireFrame(harness.OpClose, ""), 1002, nil, nil},

		{"close without a code", harness.WireFrame(harness.Fin|harness.OpClose, ""), 1000, nil, nil},
		{"close with half a code", harness.WireFrame(harness.Fin|harness.OpClose, "\x03"), 1002, nil, nil},
		{"close with a reason", harness.WireFrame(harness.Fin|harness.OpClose, closePayload(1001, "tschüss")), 1001, nil, nil},
		{"close with a reason of 123", harness.WireFrame(harness.Fin|harness.OpClose, closePayload(1000, strings.Repeat("x", 123))), 1000, nil, nil},
		{"close with a reason that is no UTF-8", harness.WireFrame(harness.Fin|harness.OpClose, closePayload(1000, "\xff")), 1007, nil, nil},
		{"frames behind a close", bye + harness.WireFrame(harness.Fin|harness.OpText, harness.GetMe) + ping, 1000, nil, nil},

		{"UTF-8 split between fragments", split(harness.Cyrillic, half, half+2, half+3, half+4) + bye, 1000, []string{"\"ref\":\"\u044f\U0001F600\""}, nil},
		{"UTF-8 that ends early", split(harness.Cyrillic[:half]), 1007, nil, nil},
		{"UTF-8 that ends early in its last fragment", split(harness.Cyrillic[:half], 3), 1007, nil, nil},
		// Refused at once, although 100 bytes are announced, and although more fragments are announced.
		{"no UTF-8 in an unfinished frame", harness.WireFrameOf(harness.Fin|harness.OpText, "{\xc3\x28", []byte{100}), 1007, nil, nil},
		{"no UTF-8 in an unfinished message", harness.WireFrame(harness.OpText, "{\xff"), 1007, nil, nil},
		{"a surrogate", harness.WireFrame(harness.OpText, "\xed\xa0\x80"), 1007, nil, nil},
		{"an overlong form", harness.WireFrame(harness.OpText, "\xc0\xaf"), 1007, nil, nil},
		{"beyond Unicode", harness.WireFrame(harness.OpText, "\xf4\x90"), 1007, nil, nil},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		tests = append(tests, tests[0])
		last := &tests[len(tests)-1]
		last.name, last.sent, last.code, last.replies = "close code", harness.WireFrame(harness.Fin|harness.OpClose, closePayload(code, "")), code, nil
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535} {
		tests = append(tests, tests[0])
		last := &tests[len(tests)-1]
		last.name, last.sent, last.code, last.replies = "no close code", harness.WireFrame(harness.Fin|harness.OpClose, closePayload(code, "")), 1002, nil
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, pieces := range []bool{false, true} { // in one write, and byte by byte if it is not too long for that
				if pieces && len(test.sent) > 500 {
					continue
				}
				s := p.Socket(t)
				ada.In(t).Upgrade(s)
				if pieces {
					for i := range len(test.sent) {
						if _, err := io.WriteString(s, test.sent[i:i+1]); err != nil {
							break // the server has already closed the connection
						}
					}
				} else if _, err := io.WriteString(s, test.sent); err != nil {
					t.Fatal(err)
				}
				got := s.Outcome()
				if got.Code != test.code {
					t.Errorf("close code = %d, want %d", got.Code, test.code)
				}
				if test.code == 1002 {
					// Whether frames before a violation are still answered is a matter of timing.
				} else if len(got.Replies) != len(test.replies) {
					t.Errorf("replies = %q", got.Replies)
				} else {
					for i, part := range test.replies {
						if !strings.Contains(got.Replies[i], part) {
							t.Errorf("reply %s lacks %s", got.Replies[i], part)
						}
					}
				}
				if strings.Join(got.Pongs, "|") != strings.Join(test.pongs, "|") || len(got.Pongs) != len(test.pongs) {
					t.Errorf("pongs = %q", got.Pongs)
				}
			}
		})
	}
}

// A client must wait for the answer to its handshake (RFC 6455 §4.1). One that does not gets no stream.
func TestFramesBeforeTheHandshakeEndTheConnection(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	s := p.Socket(t)
	s.Send(harness.WireFrame(harness.Fin|harness.OpText, harness.GetMe), strings.TrimSuffix(harness.HandshakeHead, "\r\n"), ada.Bearer(), "")
	if text := s.Ended(harness.Patience); bytes.Contains(text, []byte(`"reply"`)) || bytes.Contains(text, []byte("stream_open")) {
		t.Errorf("response = %s", text)
	}
}

// The subprotocol is ours or none: a client's others are ignored, and the client may disconnect.
func TestSubprotocolIsNegotiated(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	for offered, want := range map[string]string{"tandem.v1": "tandem.v1", "graphql-ws, tandem.v1": "tandem.v1", "graphql-ws": "", "tandem.v2": ""} {
		s := p.Socket(t)
		s.Send("", strings.TrimSuffix(harness.HandshakeHead, "\r\n"), "Sec-WebSocket-Protocol: "+offered, ada.Bearer(), "")
		_ = s.SetReadDeadline(time.Now().Add(harness.Patience))
		var head strings.Builder
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			b, err := s.Reader.ReadByte()
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
			t.Errorf("offered subprotocols %q, server chose %q: %s", offered, got, head.String())
		}
	}
}
