package realtime

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"tandem/chat"
)

// WebSocket frames events as text frames (RFC 6455).
var WebSocket Framer = webSocket{}

type webSocket struct{}

func (webSocket) Format() Format { return FormatWebSocket }

func (webSocket) Frame(dst []byte, _ string, _ chat.Cursor, json []byte) []byte {
	return appendWSFrame(dst, websocket.TextMessage, json)
}

func (webSocket) End(dst []byte, reason string) []byte {
	code := websocket.CloseServiceRestart
	switch reason {
	case chat.CloseTokenExpired, chat.CloseSignedOut:
		code = 4401
	case chat.CloseDisabled:
		code = 4403
	case chat.CloseTooManyStreams:
		code = 4429
	}
	return appendWSFrame(dst, websocket.CloseMessage, websocket.FormatCloseMessage(code, reason))
}

// appendWSFrame appends a whole unmasked frame (RFC 6455 §5.2).
func appendWSFrame(dst []byte, opcode byte, payload []byte) []byte {
	const fin = 0x80
	dst = append(dst, fin|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}

// CheckHandshake returns ErrUpgrade if r's handshake is invalid, before a stream is opened for it.
func CheckHandshake(r *http.Request) error {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Method != http.MethodGet:
		return fmt.Errorf("%w: the method is not GET", ErrUpgrade)
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return fmt.Errorf("%w: Sec-WebSocket-Version is not 13", ErrUpgrade)
	case err != nil || len(key) != 16:
		return fmt.Errorf("%w: Sec-WebSocket-Key is not 16 bytes in base64", ErrUpgrade)
	}
	return nil
}

// MaxFrame is the longest message that a client may send, in bytes.
const MaxFrame = 64 << 10

// handshakes has gorilla's write buffers, which are only used for the handshake: frames are already complete.
var handshakes sync.Pool

// ErrUpgrade means that a request cannot become a WebSocket.
var ErrUpgrade = errors.New("no WebSocket handshake")

// Handler answers a text message, which is valid UTF-8 of at most MaxFrame bytes, with JSON or nothing. An error closes
// the connection after the answer, for a policy violation. ctx ends with the connection.
type Handler func(ctx context.Context, text []byte) (answer []byte, err error)

// Commands creates the Handler of a connection when the client first sends something, which most never do.
type Commands func(chat.Viewer) Handler

// ServeWebSocket upgrades r's connection and takes it over; commands answers what the client sends, one message after
// another. If ServeWebSocket returns ErrUpgrade, nothing was sent; with any error, the stream is dropped.
func (s *Stream) ServeWebSocket(w http.ResponseWriter, r *http.Request, commands Commands) error {
	var refused error
	u := websocket.Upgrader{ // only for the handshake; see wsread.go
		ReadBufferSize:   16,
		WriteBufferPool:  &handshakes,
		Subprotocols:     []string{"tandem.v1"},
		HandshakeTimeout: 10 * time.Second,
		// A token, a ticket or a cookie (whose origin api has checked) identifies the caller, so any page may connect.
		CheckOrigin: func(*http.Request) bool { return true },
		Error: func(_ http.ResponseWriter, _ *http.Request, _ int, reason error) {
			refused = fmt.Errorf("%w: %s", ErrUpgrade, strings.TrimPrefix(reason.Error(), "websocket: "))
		},
	}
	c, err := u.Upgrade(w, r, w.Header())
	if err != nil {
		s.Drop()
		if refused != nil {
			return refused
		}
		return nil // the connection is gone: the client left, or sent before the handshake ended (gorilla then closes)
	}
	if conn := c.NetConn(); !s.hub.poller.take(s, conn, commands) {
		go s.Serve(conn, func() error { return s.readWebSocket(conn, commands) })
	}
	return nil
}

// readWebSocket handles what the client sends until the connection ends. An idle connection waits here, in a frame so
// small that its stack stays at 2 KiB (docs/decisions/0009).
func (s *Stream) readWebSocket(conn net.Conn, commands Commands) error {
	p := newPeer(s, conn, commands)
	defer p.commands.stop()
	for {
		n, err := conn.Read(p.reader.first[:])
		if err == nil {
			err = p.read(n)
		}
		if err != nil {
			return err
		}
	}
}

// peer is a WebSocket's client side. Pongs, answers and the close frame are sent by the stream's writer.
type peer struct {
	stream   *Stream
	reader   wsReader
	commands commands
}

func newPeer(s *Stream, conn io.Reader, c Commands) *peer {
	return &peer{stream: s, reader: wsReader{conn: conn, stream: s}, commands: commands{stream: s, handle: c(s.viewer)}}
}

// forgettable reports whether the next input can be handled without this state.
func (p *peer) forgettable() bool { return !p.commands.used() && !p.reader.within }

// read handles the input, of which n bytes are read.
func (p *peer) read(n int) error {
	p.reader.begin(n)
	defer p.reader.end()
	for {
		text, err := p.reader.next()
		if err == nil {
			p.commands.put(text)
			continue
		}
		if errors.Is(err, errNothing) {
			return nil
		}
		end, ended := errors.AsType[*closing](err)
		if !ended {
			return err
		}
		if end.asked {
			p.commands.wait() // a client that sends and closes wants everything answered
		}
		p.stream.End(appendWSFrame(nil, websocket.CloseMessage, websocket.FormatCloseMessage(end.code, end.reason)))
		return drain(p.reader.conn)
	}
}

// drain waits for the peer to close after we have ended our side, discarding its input.
func drain(conn io.Reader) error { return discard(conn, make([]byte, 512)) }

// discardPause is the time between two reads of unwanted input; without it, a client that sends endlessly would keep a
// processor busy.
const discardPause = 10 * time.Millisecond

// discard reads until the connection ends.
func discard(conn io.Reader, into []byte) error {
	for {
		if _, err := conn.Read(into); err != nil {
			return err
		}
		time.Sleep(discardPause)
	}
}
