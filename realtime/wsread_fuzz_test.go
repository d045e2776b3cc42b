package realtime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gorilla/websocket"
)

// bytesConn is a connection whose peer has sent some bytes and closed, and reads nothing.
type bytesConn struct {
	net.Conn
	io.Reader
}

func (c bytesConn) Read(p []byte) (int, error)     { return c.Reader.Read(p) }
func (bytesConn) Write(p []byte) (int, error)      { return len(p), nil }
func (bytesConn) Close() error                     { return nil }
func (bytesConn) SetDeadline(time.Time) error      { return nil }
func (bytesConn) SetWriteDeadline(time.Time) error { return nil }
func (bytesConn) SetReadDeadline(time.Time) error  { return nil }
func (bytesConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (bytesConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// hijacker gives gorilla the connection.
type hijacker struct {
	*httptest.ResponseRecorder
	conn bytesConn
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// gorillaReads returns the messages that gorilla/websocket reads from the bytes, and why it stopped.
func gorillaReads(sent []byte) (messages [][]byte, kinds []int, end error) {
	r := httptest.NewRequest("GET", "/", nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	conn := bytesConn{Reader: &late{data: sent}}
	c, err := (&websocket.Upgrader{}).Upgrade(hijacker{httptest.NewRecorder(), conn}, r, nil)
	if err != nil {
		return nil, nil, err
	}
	c.SetReadLimit(MaxFrame)
	for {
		kind, data, err := c.ReadMessage()
		if err != nil {
			return messages, kinds, err
		}
		messages, kinds = append(messages, data), append(kinds, kind)
	}
}

// late has nothing buffered during the handshake, since gorilla would refuse that.
type late struct{ data []byte }

func (l *late) Read(p []byte) (int, error) {
	if len(l.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, l.data)
	l.data = l.data[n:]
	return n, nil
}

// weRead returns what wsReader reads.
func weRead(sent io.Reader) (messages [][]byte, end error) {
	s := &Stream{silent: true} // pongs are dropped
	r := &wsReader{conn: bytesConn{Reader: sent}, stream: s}
	for {
		n, err := r.conn.Read(r.first[:])
		if err != nil {
			return messages, err
		}
		r.begin(n)
		for err == nil {
			var text []byte
			if text, err = r.next(); err == nil {
				messages = append(messages, text)
			}
		}
		r.end()
		if !errors.Is(err, errNothing) {
			return messages, err
		}
	}
}

// wsReader reads the same as gorilla/websocket, however the bytes arrive, except for what wsReader alone refuses.
func FuzzWebSocketReader(f *testing.F) {
	frame := func(first byte, payload string) []byte {
		b := appendWSFrame(nil, first&0xf, []byte(payload))
		b[0] = first
		at := 2
		switch b[1] {
		case 126:
			at = 4
		case 127:
			at = 10
		}
		b[1] |= 0x80
		return append(append(append([]byte{}, b[:at]...), 0, 0, 0, 0), b[at:]...)
	}
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	for _, s := range [][]byte{
		frame(0x81, "hi"), join(frame(0x01, "h"), frame(0x89, "ping"), frame(0x80, "i"), frame(0x88, "\x03\xe8bye")),
		frame(0x82, "binary"), frame(0x81, "\xff"), join(frame(0x01, "\xe2\x9d"), frame(0x80, "\xa4")), frame(0xc1, "reserved"),
		frame(0x83, ""), frame(0x80, "nothing before"), frame(0x09, "fragmented ping"), frame(0x88, "\x03"), frame(0x88, "\x03\xed"),
		frame(0x81, string(bytes.Repeat([]byte("x"), 200))), {0x81, 0xfe, 0, 2, 0, 0, 0, 0, 'h', 'i'}, {0x81, 0x02, 'h', 'i'},
		{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, join(frame(0x01, "a"), frame(0x81, "b")), frame(0x8a, ""),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours, end := weRead(&late{data: bytes.Clone(sent)})
		inBytes, endInBytes := weRead(iotest.OneByteReader(bytes.NewReader(sent)))
		if len(ours) != len(inBytes) || (end == nil) != (endInBytes == nil) || end != nil && end.Error() != endInBytes.Error() {
			t.Fatalf("read at once = %q, %v; byte by byte = %q, %v", ours, end, inBytes, endInBytes)
		}
		theirs, kinds, theirEnd := gorillaReads(bytes.Clone(sent))
		for i, m := range ours {
			if i >= len(theirs) || kinds[i] != websocket.TextMessage || !bytes.Equal(m, theirs[i]) {
				t.Fatalf("message %d = %q; gorilla read %q, %v", i, m, theirs, theirEnd)
			}
		}
		c, closed := errors.AsType[*closing](end)
		complaint, theyComplain := errors.AsType[*websocket.CloseError](theirEnd)
		switch {
		case closed && !c.asked: // ours is stricter, and refuses earlier
			if len(theirs) > len(ours)+1 && kinds[len(ours)] == websocket.TextMessage && c.code == websocket.CloseUnsupportedData {
				t.Fatalf("got %v for a text message", c)
			}
		case len(theirs) != len(ours):
			t.Fatalf("read %d messages, %v; gorilla read %d, %v", len(ours), end, len(theirs), theirEnd)
		case !closed && theyComplain && complaint.Code != websocket.CloseAbnormalClosure:
			t.Fatalf("gorilla closed with %v, we with %v", theirEnd, end)
		case !closed && !isEOF(theirEnd):
			// Ours checks a header once it is complete, and then refuses it.
			if _, end := weRead(io.MultiReader(bytes.NewReader(sent), bytes.NewReader(make([]byte, 16)))); isClosing(end) {
				return
			}
			t.Fatalf("gorilla refused with %v, but we wait for more: %v", theirEnd, end)
		}
	})
}

func isClosing(err error) bool {
	_, ok := errors.AsType[*closing](err)
	return ok
}

// isEOF reports whether the bytes just ended.
func isEOF(err error) bool {
	c, ok := errors.AsType[*websocket.CloseError](err)
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || ok && c.Code == websocket.CloseAbnormalClosure
}

var _ http.Hijacker = hijacker{}
