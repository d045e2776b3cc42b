package harness

import (
	"bytes"
	encoding "encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// Raw WebSocket frames (RFC 6455 §5 to §8), valid and invalid: gorilla's client would refuse to send the invalid ones.

// WireFrame returns a masked frame, as a client sends it.
func WireFrame(first byte, payload string) string {
	return WireFrameOf(first, payload, lengthOf(len(payload)))
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

// WireFrameOf returns a frame whose length is encoded as given.
func WireFrameOf(first byte, payload string, length []byte) string {
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
	Fin           = 0x80
	OpContinue    = 0x0
	OpText        = 0x1
	OpBinary      = 0x2
	OpClose       = 0x8
	OpPing        = 0x9
	OpPong        = 0xa
	GetMe         = `{"ref":"me","method":"GET","path":"/v1/me"}`
	Cyrillic      = "{\"ref\":\"\u044f\U0001F600\"}" // the reply repeats the ref
	HandshakeHead = "GET /v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

// Upgrade opens a WebSocket to the inbox with a handwritten handshake.
func (c *Client) Upgrade(s *Socket) {
	c.T.Helper()
	s.Send("", strings.TrimSuffix(HandshakeHead, "\r\n"), c.Bearer(), "")
	var head bytes.Buffer
	_ = s.SetReadDeadline(time.Now().Add(Patience))
	for !bytes.HasSuffix(head.Bytes(), []byte("\r\n\r\n")) {
		b, err := s.Reader.ReadByte()
		if err != nil {
			c.T.Fatal(err)
		}
		head.WriteByte(b)
	}
	// This key and its answer are the example in RFC 6455 §1.3.
	if text := head.String(); !strings.HasPrefix(text, "HTTP/1.1 101 ") || !strings.Contains(text, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") {
		c.T.Fatalf("handshake response = %s", text)
	}
}

// Frame reads one frame from the server.
func (s *Socket) Frame() (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(s.Reader, head[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1])
	var long [8]byte
	switch {
	case head[0]&0xf0 != Fin || n > 127:
		s.t.Fatalf("frame header = %x: fragmented, masked, or reserved bits set", head)
	case n == 126:
		_, err = io.ReadFull(s.Reader, long[6:])
		n = encoding.BigEndian.Uint64(long[:])
	case n == 127:
		_, err = io.ReadFull(s.Reader, long[:])
		n = encoding.BigEndian.Uint64(long[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(s.Reader, payload)
	return head[0] & 0xf, payload, err
}

// outcome is the server's response to what was sent: its replies, pongs and close code, which is 0 if the connection ended
// without a close frame.
type outcome struct {
	Replies, Pongs []string
	Code           int
}

// Outcome reads until the end of the connection.
func (s *Socket) Outcome() (o outcome) {
	s.t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(Patience))
	for {
		opcode, payload, err := s.Frame()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			s.t.Fatalf("connection still open; so far: %+v", o)
		case err != nil:
			return o
		case o.Code != 0:
			s.t.Errorf("frame after the close frame: %s", payload)
		case opcode == OpPong:
			o.Pongs = append(o.Pongs, string(payload))
		case opcode == OpClose:
			o.Code = int(encoding.BigEndian.Uint16(payload))
		case opcode == OpText && bytes.HasPrefix(payload, []byte(`{"type":"reply"`)):
			r, err := ParseReply(payload)
			if err != nil {
				s.t.Error(err)
			}
			o.Replies = append(o.Replies, string(r.Raw))
		}
	}
}
