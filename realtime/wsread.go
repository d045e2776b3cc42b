package realtime

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// closing is how a client's side of a WebSocket ends: by its close frame, or by a protocol violation.
type closing struct {
	code   int
	reason string
	asked  bool
}

func (c *closing) Error() string { return fmt.Sprintf("close %d %s", c.code, c.reason) }

func breach(reason string) error { return &closing{code: websocket.CloseProtocolError, reason: reason} }

// wsReader reads what a client sends over a WebSocket (RFC 6455). While there is no input it holds a few bytes: nearly
// all connections are idle, so this is what a stream costs.
type wsReader struct {
	conn   io.Reader
	stream *Stream // sends the pongs

	first  [64]byte      // receives the first bytes of input
	unread []byte        // of first
	buf    *bufio.Reader // nil while there is no input

	text    []byte // the message so far
	checked int    // how much of it is valid UTF-8
	within  bool   // within a fragmented message

	paid int64 // until when the frames without a message are paid for, Unix nanoseconds
}

const (
	// Control frames and fragments complete no message, so no limit on messages counts them. Clients ping every few
	// seconds and, if they fragment, do so at their buffers' 4 KiB.
	pieceEvery   = 10 * time.Millisecond
	piecesAtOnce = 1000
)

// pay counts a frame that completes no message; too many of them end the connection.
func (r *wsReader) pay() error {
	now := time.Now().UnixNano()
	r.paid = max(r.paid, now) + int64(pieceEvery)
	if r.paid-now > piecesAtOnce*int64(pieceEvery) {
		return &closing{code: websocket.ClosePolicyViolation, reason: "too many frames without a message"}
	}
	return nil
}

// readBuffers are lent to readers with input.
var readBuffers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// errNothing means that there is no more input now.
var errNothing = errors.New("nothing to read")

// next returns the next text message, complete and valid, or a *closing, errNothing, or the reason why the connection
// ended.
func (r *wsReader) next() ([]byte, error) {
	for {
		f, err := r.header()
		if err != nil {
			return nil, err
		}
		if f.opcode >= websocket.CloseMessage || !f.final {
			if err := r.pay(); err != nil {
				return nil, err
			}
		}
		switch {
		case f.opcode >= websocket.CloseMessage:
			if err := r.control(f); err != nil {
				return nil, err
			}
			continue
		case (f.opcode == continuation) != r.within:
			return nil, breach("interleaved fragments of two messages")
		case f.opcode == websocket.BinaryMessage:
			return nil, &closing{code: websocket.CloseUnsupportedData, reason: "text frames only"}
		case f.length > MaxFrame-uint64(len(r.text)):
			return nil, &closing{code: websocket.CloseMessageTooBig, reason: "at most 64 KiB"}
		}
		if err := r.payload(f); err != nil {
			return nil, err
		}
		r.within = !f.final
		if f.final {
			text := r.text
			r.text, r.checked = nil, 0
			return text, nil
		}
	}
}

const continuation = 0

// wsFrame is a frame's header (RFC 6455 §5.2).
type wsFrame struct {
	final  bool
	opcode byte
	length uint64
	mask   [4]byte
}

func (r *wsReader) header() (f wsFrame, err error) {
	if r.buf.Buffered() == 0 && len(r.unread) == 0 {
		return f, errNothing
	}
	b, err := r.take(2)
	if err != nil {
		return f, err
	}
	f.final, f.opcode, f.length = b[0]&0x80 != 0, b[0]&0xf, uint64(b[1]&0x7f)
	switch {
	case b[0]&0x70 != 0:
		return f, breach("reserved bits without an extension")
	case f.opcode > websocket.BinaryMessage && f.opcode < websocket.CloseMessage || f.opcode > websocket.PongMessage:
		return f, breach("a reserved opcode")
	case b[1]&0x80 == 0:
		return f, breach("an unmasked frame")
	case f.opcode >= websocket.CloseMessage && (!f.final || f.length > 125):
		return f, breach("a fragmented or too long control frame")
	}
	least := uint64(0) // the smallest length for this encoding: the shortest form is required
	switch f.length {
	case 126:
		if b, err = r.take(2); err == nil {
			f.length, least = uint64(binary.BigEndian.Uint16(b)), 126
		}
	case 127:
		if b, err = r.take(8); err == nil {
			f.length, least = binary.BigEndian.Uint64(b), 1<<16
		}
	}
	if err == nil && (f.length < least || f.length>>63 != 0) {
		err = breach("a length that is not minimally encoded")
	}
	if err != nil {
		return f, err
	}
	if b, err = r.take(4); err == nil {
		f.mask = [4]byte(b)
	}
	return f, err
}

// payload appends a frame's payload to the message. Invalid UTF-8 is refused at its first byte, not at its last frame.
func (r *wsReader) payload(f wsFrame) error {
	for done := 0; uint64(done) < f.length; {
		if _, err := r.buf.Peek(1); err != nil {
			return err
		}
		b, _ := r.take(int(min(f.length-uint64(done), uint64(r.buf.Buffered()))))
		from := len(r.text)
		r.text = append(r.text, b...)
		f.unmask(r.text[from:], done)
		done += len(b)
		whole := wholeRunes(r.text)
		if !utf8.Valid(r.text[r.checked:whole]) {
			return invalidUTF8
		}
		r.checked = whole
	}
	if f.final && r.checked < len(r.text) {
		return invalidUTF8
	}
	return nil
}

var invalidUTF8 = &closing{code: websocket.CloseInvalidFramePayloadData, reason: "invalid UTF-8"}

// wholeRunes returns the length of b without an incomplete character at its end.
func wholeRunes(b []byte) int {
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax); i-- {
		if !utf8.RuneStart(b[i]) {
			continue
		}
		if !utf8.FullRune(b[i:]) {
			return i
		}
		break
	}
	return len(b)
}

// unmask undoes the masking of bytes that begin at from in the payload (RFC 6455 §5.3).
func (f *wsFrame) unmask(b []byte, from int) {
	for i := range b {
		b[i] ^= f.mask[(from+i)&3]
	}
}

func (r *wsReader) control(f wsFrame) error {
	payload, err := r.take(int(f.length))
	if err != nil {
		return err
	}
	f.unmask(payload, 0)
	switch {
	case f.opcode == websocket.PingMessage:
		r.stream.Send(appendWSFrame(nil, websocket.PongMessage, payload))
		return nil
	case f.opcode == websocket.PongMessage:
		return nil
	case len(payload) == 0:
		return &closing{code: websocket.CloseNormalClosure, asked: true}
	case len(payload) == 1:
		return breach("half a close code")
	}
	code := int(binary.BigEndian.Uint16(payload))
	switch {
	case !mayBeSent(code):
		return breach("no close code")
	case !utf8.Valid(payload[2:]):
		return invalidUTF8
	}
	return &closing{code: code, asked: true}
}

// mayBeSent reports whether a frame may have this close code: those of RFC 6455 §7.4 and the IANA registry, and those
// for libraries and applications.
func mayBeSent(code int) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}

// begin makes the reader read the n bytes of first, and what follows; end is called when there is no more input.
func (r *wsReader) begin(n int) {
	r.unread = r.first[:n]
	r.buf = readBuffers.Get().(*bufio.Reader)
	r.buf.Reset(r)
}

func (r *wsReader) end() {
	r.buf.Reset(nil)
	readBuffers.Put(r.buf)
	r.buf = nil
}

// Read reads the connection after the first bytes.
func (r *wsReader) Read(p []byte) (int, error) {
	if len(r.unread) == 0 {
		return r.conn.Read(p)
	}
	n := copy(p, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

// take returns the next n bytes, valid until the next call; n is at most a buffer's size.
func (r *wsReader) take(n int) ([]byte, error) {
	b, err := r.buf.Peek(n)
	if err == nil {
		_, err = r.buf.Discard(n)
	}
	return b, err
}
