package program

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

// connector dials TCP; the resume test breaks what it returns.
type connector func(ctx context.Context, network, address string) (net.Conn, error)

// bodySource is a stream that is the body of an answer: SSE or NDJSON.
type bodySource struct {
	next   func() (event, error)
	resp   *http.Response
	cancel context.CancelFunc
	idle   *http.Transport
}

// dialBody returns a source, or the answer that refused it with its body unread.
func (c *client) dialBody(over transport, target string, header http.Header, lines []string, connect connector) (eventSource, *http.Response, error) {
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, over.method(), c.server.url+target, nil)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	req.Header = header
	req.Header.Set("Accept", over.media())
	addHeaders(req.Header, lines)
	own := c.server.transport(over)
	own.DialContext, own.ResponseHeaderTimeout = connect, patience
	resp, err := own.RoundTrip(req)
	if err != nil {
		cancel()
		own.CloseIdleConnections()
		return nil, nil, err
	}
	if over == overH2 && resp.ProtoMajor != 2 {
		c.t.Errorf("the answer came over %s", resp.Proto)
	}
	if resp.StatusCode != 200 {
		context.AfterFunc(c.t.Context(), func() { cancel(); own.CloseIdleConnections() })
		return nil, resp, nil
	}
	for name, want := range map[string]string{
		"Content-Type":      over.media(),
		"Cache-Control":     "no-cache, no-transform",
		"X-Accel-Buffering": "no",
		"Content-Encoding":  "",
	} {
		if got := resp.Header.Get(name); got != want && !(name == "Content-Type" && strings.HasPrefix(got, want+";")) {
			c.t.Errorf("a stream over %s has %s %q, not %q", over, name, got, want)
		}
	}
	if resp.Uncompressed {
		c.t.Errorf("a stream over %s is compressed, which holds events back", over)
	}
	next := sseEvents(resp.Body)
	if over == overNDJSON {
		next = lineEvents(resp.Body)
	}
	return &bodySource{next: next, resp: resp, cancel: cancel, idle: own}, resp, nil
}

// sseEvents reads the events of a text/event-stream.
func sseEvents(body io.Reader) func() (event, error) {
	reader := newSSEReader(body)
	return func() (event, error) {
		got, err := reader.next()
		if err != nil {
			return event{}, err
		}
		e, err := parseEvent([]byte(got.Data))
		if err != nil {
			return e, err
		}
		e.name = got.Name
		if got.HasID {
			e.cursor = got.ID
		}
		if len(reader.retries) == 0 || reader.retries[0] < 1000 || reader.retries[0] > 3000 {
			return e, fmt.Errorf("%w: by the first event the stream has said retry %v, not one of 1000 to 3000 ms", errContract, reader.retries)
		}
		return e, nil
	}
}

// lineEvents reads an event from each whole line.
func lineEvents(body io.Reader) func() (event, error) {
	reader := bufio.NewReader(body)
	return func() (event, error) {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return event{}, err // what is not ended is none
		}
		return parseEvent(bytes.TrimSuffix(line, []byte("\n")))
	}
}

func (s *bodySource) read() (event, error) { return s.next() }

func (s *bodySource) end() {
	s.cancel()
	s.resp.Body.Close()
	s.idle.CloseIdleConnections()
}

// wsSource is a stream over a WebSocket.
type wsSource struct {
	conn    *websocket.Conn
	pongs   chan string
	replies chan reply
	mu      sync.Mutex // gorilla wants one writer at a time
}

func (c *client) dialWS(_ transport, target string, header http.Header, lines []string, connect connector) (eventSource, *http.Response, error) {
	header.Set("Sec-WebSocket-Protocol", "tandem.v1")
	addHeaders(header, lines)
	dialer := websocket.Dialer{NetDialContext: connect, TLSClientConfig: c.server.tls, HandshakeTimeout: patience, EnableCompression: true}
	conn, resp, err := dialer.Dial("ws"+strings.TrimPrefix(c.server.url, "http")+target, header)
	if errors.Is(err, websocket.ErrBadHandshake) {
		return nil, resp, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		c.t.Errorf("the server took up the extension %q: with compression on, gorilla's read limit does not hold", got)
	}
	if want := header.Get("Sec-WebSocket-Protocol"); want != "" && conn.Subprotocol() != "tandem.v1" {
		c.t.Errorf("the server chose the subprotocol %q of %q", conn.Subprotocol(), want)
	}
	source := &wsSource{conn: conn, pongs: make(chan string, 8), replies: make(chan reply, 4096)}
	conn.SetPongHandler(func(text string) error {
		source.pongs <- text
		return nil
	})
	return source, resp, nil
}

// read returns the next event; replies to commands that come before it go where reply finds them.
func (s *wsSource) read() (event, error) {
	for {
		kind, frame, err := s.conn.ReadMessage()
		if err != nil {
			close(s.replies)
			return event{}, err
		}
		if kind != websocket.TextMessage {
			return event{}, fmt.Errorf("%w: a frame of kind %d: %s", errContract, kind, clip(frame))
		}
		if !bytes.HasPrefix(frame, []byte(`{"type":"reply"`)) {
			return parseEvent(frame)
		}
		r, err := parseReply(frame)
		if err != nil {
			return event{}, err
		}
		s.replies <- r
	}
}

// send writes a frame to the server.
func (s *wsSource) send(kind int, frame []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn.WriteMessage(kind, frame)
}

func (s *wsSource) end() { s.conn.Close() }
