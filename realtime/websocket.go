package realtime

import (
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
	"unicode/utf8"

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

// CheckHandshake returns ErrUpgrade where r's handshake is wrong, before a stream is opened for it.
func CheckHandshake(r *http.Request) error {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return fmt.Errorf("%w: Sec-WebSocket-Version is not 13", ErrUpgrade)
	case err != nil || len(key) != 16:
		return fmt.Errorf("%w: Sec-WebSocket-Key is not 16 bytes in base64", ErrUpgrade)
	}
	return nil
}

// MaxFrame is the longest message that a client may send, in bytes.
const MaxFrame = 64 << 10

// handshakes has gorilla's write buffers, which serve the handshake alone: frames come finished.
var handshakes sync.Pool

// ErrUpgrade means that a request cannot become a WebSocket.
var ErrUpgrade = errors.New("no WebSocket handshake")

// ServeWebSocket makes r's connection a WebSocket and takes it over. handle gets each text message, which is
// valid UTF-8, and returns the JSON that answers it, or nil. Where ServeWebSocket returns ErrUpgrade nothing
// was sent; the stream is dropped with any error.
func (s *Stream) ServeWebSocket(w http.ResponseWriter, r *http.Request, handle func(text []byte) []byte) error {
	var refused error
	u := websocket.Upgrader{
		ReadBufferSize:   512, // small, as each idle connection keeps one
		WriteBufferPool:  &handshakes,
		Subprotocols:     []string{"tandem.v1"},
		HandshakeTimeout: 10 * time.Second,
		// A token or a ticket says who is calling, never a cookie, so any page may.
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
		return nil // the connection is gone: the client left, or sent before it was answered (gorilla closes then)
	}
	conn := c.NetConn()
	go s.Serve(conn, func() error { return s.readWebSocket(c, conn, handle) })
	return nil
}

// readWebSocket handles what the client sends until the connection ends. Answers go through Control and End, to the
// stream's writer; only for a breach of the protocol gorilla writes its own close frame, and the connection ends.
func (s *Stream) readWebSocket(c *websocket.Conn, conn net.Conn, handle func([]byte) []byte) error {
	closing := func(code int, text string) {
		s.End(appendWSFrame(nil, websocket.CloseMessage, websocket.FormatCloseMessage(code, text)))
	}
	c.SetPingHandler(func(data string) error {
		if !s.Control(appendWSFrame(nil, websocket.PongMessage, []byte(data))) {
			return errTooFast
		}
		return nil
	})
	c.SetCloseHandler(func(code int, _ string) error {
		if code == websocket.CloseNoStatusReceived {
			code = websocket.CloseNormalClosure
		}
		closing(code, "") // the closing handshake (RFC 6455 §5.5.1)
		return nil
	})
	for {
		kind, message, err := c.NextReader()
		if err != nil {
			return drain(conn, err)
		}
		if kind == websocket.BinaryMessage {
			closing(websocket.CloseUnsupportedData, "text frames only")
			return drain(conn, nil)
		}
		text, err := io.ReadAll(io.LimitReader(message, MaxFrame+1))
		switch {
		case err != nil:
			return drain(conn, err)
		case len(text) > MaxFrame:
			closing(websocket.CloseMessageTooBig, "at most 64 KiB")
			return drain(conn, nil)
		case !utf8.Valid(text): // gorilla does not look
			closing(websocket.CloseInvalidFramePayloadData, "invalid UTF-8")
			return drain(conn, nil)
		}
		if reply := handle(text); reply != nil && !s.Control(appendWSFrame(nil, websocket.TextMessage, reply)) {
			return errTooFast
		}
	}
}

var errTooFast = errors.New("the peer sends and does not read")

// drain waits for the peer to close after we have ended our side, discarding what it still sends.
func drain(conn net.Conn, err error) error {
	var closed *websocket.CloseError
	if err != nil && !errors.As(err, &closed) {
		return err
	}
	discard := make([]byte, 512)
	for {
		if _, err := conn.Read(discard); err != nil {
			return err
		}
	}
}
