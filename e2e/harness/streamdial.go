package harness

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
)

// connector dials TCP. The resume test breaks the connections that it returns.
type connector func(ctx context.Context, network, address string) (net.Conn, error)

// bodySource reads a stream from a response body: SSE or NDJSON.
type bodySource struct {
	next   func() (Event, error)
	resp   *http.Response
	cancel context.CancelFunc
	idle   *http.Transport
}

// dialBody returns a source, or the answer that refused it with its body unread.
func (c *Client) dialBody(over Transport, target string, header http.Header, lines []string, connect connector) (eventSource, *http.Response, error) {
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, over.Method(), c.Server.URL+target, nil)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	req.Header = header
	req.Header.Set("Accept", over.media())
	AddHeaders(req.Header, lines)
	own := c.Server.Transport(over)
	own.DialContext, own.ResponseHeaderTimeout = connect, Patience
	resp, err := own.RoundTrip(req)
	if err != nil {
		cancel()
		own.CloseIdleConnections()
		return nil, nil, err
	}
	if over == OverH2 && resp.ProtoMajor != 2 {
		c.T.Errorf("the response came over %s", resp.Proto)
	}
	if resp.StatusCode != 200 {
		context.AfterFunc(c.T.Context(), func() { cancel(); own.CloseIdleConnections() })
		return nil, resp, nil
	}
	for name, want := range map[string]string{
		"Content-Type":      over.media(),
		"Cache-Control":     "no-cache, no-transform",
		"X-Accel-Buffering": "no",
		"Content-Encoding":  "",
	} {
		if got := resp.Header.Get(name); got != want && !(name == "Content-Type" && strings.HasPrefix(got, want+";")) {
			c.T.Errorf("a stream over %s has %s %q, want %q", over, name, got, want)
		}
	}
	if resp.Uncompressed {
		c.T.Errorf("a stream over %s is compressed, which delays events", over)
	}
	next := SSEEvents(resp.Body)
	if over == OverNDJSON {
		next = lineEvents(resp.Body)
	}
	return &bodySource{next: next, resp: resp, cancel: cancel, idle: own}, resp, nil
}

// SSEEvents reads the events of a text/event-stream.
func SSEEvents(body io.Reader) func() (Event, error) {
	reader := NewSSEReader(body)
	return func() (Event, error) {
		got, err := reader.Next()
		if err != nil {
			return Event{}, err
		}
		e, err := ParseEvent([]byte(got.Data))
		if err != nil {
			return e, err
		}
		e.name = got.Name
		if got.HasID {
			e.cursor = got.ID
		}
		if len(reader.Retries) == 0 || reader.Retries[0] < 1000 || reader.Retries[0] > 3000 {
			return e, fmt.Errorf("%w: before the first event the stream sent retry %v, want one of 1000 to 3000 ms", errContract, reader.Retries)
		}
		return e, nil
	}
}

// lineEvents reads an event from each complete line.
func lineEvents(body io.Reader) func() (Event, error) {
	reader := bufio.NewReader(body)
	return func() (Event, error) {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return Event{}, err // an unterminated line is not an event
		}
		return ParseEvent(bytes.TrimSuffix(line, []byte("\n")))
	}
}

func (s *bodySource) Read() (Event, error) { return s.next() }

func (s *bodySource) end() {
	s.cancel()
	s.resp.Body.Close()
	s.idle.CloseIdleConnections()
}

// WSSource is a stream over a WebSocket.
type WSSource struct {
	conn    *websocket.Conn
	Pongs   chan string
	Replies chan *reply
	mu      sync.Mutex // gorilla allows one writer at a time
}

func (c *Client) dialWS(_ Transport, target string, header http.Header, lines []string, connect connector) (eventSource, *http.Response, error) {
	header.Set("Sec-WebSocket-Protocol", "tandem.v1")
	AddHeaders(header, lines)
	dialer := websocket.Dialer{NetDialContext: connect, TLSClientConfig: c.Server.TLS, HandshakeTimeout: Patience, EnableCompression: true}
	conn, resp, err := dialer.Dial("ws"+strings.TrimPrefix(c.Server.URL, "http")+target, header)
	if errors.Is(err, websocket.ErrBadHandshake) {
		return nil, resp, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		c.T.Errorf("the server accepted the extension %q: with compression gorilla's read limit does not hold", got)
	}
	if want := header.Get("Sec-WebSocket-Protocol"); want != "" && conn.Subprotocol() != "tandem.v1" {
		c.T.Errorf("the server chose subprotocol %q from %q", conn.Subprotocol(), want)
	}
	source := &WSSource{conn: conn, Pongs: make(chan string, 8), Replies: make(chan *reply, 4096)}
	conn.SetPongHandler(func(text string) error {
		source.Pongs <- text
		return nil
	})
	return source, resp, nil
}

// Read returns the next event. Replies to commands that come first are queued for Reply.
func (s *WSSource) Read() (Event, error) {
	for {
		kind, frame, err := s.conn.ReadMessage()
		if err != nil {
			close(s.Replies)
			return Event{}, err
		}
		if kind != websocket.TextMessage {
			return Event{}, fmt.Errorf("%w: got a frame of kind %d: %s", errContract, kind, Clip(frame))
		}
		if !bytes.HasPrefix(frame, []byte(`{"type":"reply"`)) {
			return ParseEvent(frame)
		}
		r, err := ParseReply(frame)
		if err != nil {
			return Event{}, err
		}
		s.Replies <- &r
	}
}

// Send sends a frame to the server.
func (s *WSSource) Send(kind int, frame []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn.WriteMessage(kind, frame)
}

func (s *WSSource) end() { s.conn.Close() }
