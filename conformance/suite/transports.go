package suite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// Transport is a way to follow a stream.
type Transport struct {
	Name   string
	Needs  string // the required scheme of the server; "" for any
	Wire   Wire
	Method string
	HTTP2  bool
}

// Wire is a wire format.
type Wire string

// The wire formats, as named by the parameter `format`.
const (
	WebSocket Wire = "ws"
	SSE       Wire = "sse"
	NDJSON    Wire = "ndjson"
	Poll      Wire = "json"
)

// transports lists all transports in the contract.
var transports = []Transport{
	{Name: "ws", Wire: WebSocket, Method: "GET"},
	{Name: "sse", Wire: SSE, Method: "GET"},
	{Name: "sse-post", Wire: SSE, Method: "POST", Needs: "POST /v1/events"},
	{Name: "ndjson", Wire: NDJSON, Method: "GET", Needs: "?format=ndjson"},
	{Name: "poll", Wire: Poll, Method: "GET", Needs: "?format=json"},
	{Name: "sse-h2", Wire: SSE, Method: "GET", HTTP2: true},
	{Name: "ndjson-h2", Wire: NDJSON, Method: "POST", HTTP2: true, Needs: "?format=ndjson"},
}

// Transports returns the names of all transports.
func Transports() (names []string) {
	for _, tr := range transports {
		names = append(names, tr.Name)
	}
	return names
}

var accepts = map[Wire]string{SSE: "text/event-stream", NDJSON: "application/x-ndjson", Poll: "application/json"}

// source is one connection, or a series of polls. read blocks until the next event. end closes it and may be called at
// any time.
type source interface {
	read() (Event, error)
	end()
}

// how says how to open a stream.
type how struct {
	query    string
	headers  []string // "Name: value"
	cutAfter int      // the connection breaks after this many bytes; 0: never
}

// dial opens a stream, or returns the answer that refused it.
func (t *T) dial(u *User, over Transport, h how) (source, http.Header, *Answer, error) {
	header := http.Header{}
	if u.token != "" {
		header.Set("Authorization", "Bearer "+u.token)
	}
	if accept := accepts[over.Wire]; accept != "" {
		header.Set("Accept", accept)
	}
	for _, line := range h.headers {
		header.Set(splitHeader(line))
	}
	target := "/v1/events"
	if h.query != "" {
		target += "?" + h.query
	}
	ctx, stop := context.WithCancel(t.ctx)
	d := &dialer{t: t, ctx: ctx, over: over, target: target, header: header, cutAfter: h.cutAfter}
	if over.Wire == WebSocket {
		defer stop()
		return d.socket()
	}
	if over.Wire == Poll && !strings.Contains(h.query, "wait=") {
		// Like any stream it must show its opening at once; the polls after that wait.
		d.target += "&wait=0"
		if h.query == "" {
			d.target = "/v1/events?wait=0"
		}
	}
	resp, cancel, err := d.request(d.target)
	if err != nil {
		stop()
		return nil, nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		a, err := readAnswer(over.Method+" "+target+" over "+over.Name, resp)
		cancel()
		stop()
		a.t = t
		return nil, nil, &a, err
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != accepts[over.Wire] {
		t.Errorf("Content-Type = %q, want %q", resp.Header.Get("Content-Type"), accepts[over.Wire])
	}
	if over.HTTP2 != (resp.ProtoMajor == 2) {
		t.Errorf("response protocol = %s", resp.Proto)
	}
	end := func() { cancel(); stop(); resp.Body.Close() }
	switch over.Wire {
	case SSE:
		return &sseSource{parser: newSSEParser(resp.Body), close: end}, resp.Header, nil, nil
	case NDJSON:
		return &ndjsonSource{lines: bufio.NewReader(resp.Body), close: end}, resp.Header, nil, nil
	default:
		p := &pollSource{dialer: d, stop: func() { cancel(); stop() }}
		p.answer(resp)
		return p, resp.Header, nil, nil
	}
}

// dialer is shared by the connections of one stream.
type dialer struct {
	t        *T
	ctx      context.Context // of all its connections
	over     Transport
	target   string
	header   http.Header
	cutAfter int
}

// request asks for the stream over HTTP. cancel ends it.
func (d *dialer) request(target string) (*http.Response, context.CancelFunc, error) {
	ctx, cancel := context.WithCancel(d.ctx)
	req, err := http.NewRequestWithContext(ctx, d.over.Method, *d.t.url.Load()+target, nil)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	req.Header = d.header.Clone()
	by := d.t.http1
	if d.over.HTTP2 {
		by = d.t.http2
	}
	if d.cutAfter > 0 {
		by = by.Clone()
		by.DisableKeepAlives = true
		by.DialContext = d.connect
		stop := cancel
		cancel = func() { stop(); by.CloseIdleConnections() }
	}
	late := time.AfterFunc(60*time.Second+d.t.Patience, cancel) // any answer, also of a poll, starts sooner
	resp, err := by.RoundTrip(req)
	late.Stop()
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return resp, cancel, nil
}

func (d *dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil || d.cutAfter == 0 {
		return conn, err
	}
	return &breakingConn{Conn: conn, left: d.cutAfter}, nil
}

// breakingConn breaks after a number of bytes have been read.
type breakingConn struct {
	net.Conn
	left int
}

func (c *breakingConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		c.Close()
		return 0, errors.New("connection cut by the scenario")
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

const subprotocol = "tandem.v1"

func (d *dialer) socket() (source, http.Header, *Answer, error) {
	dial := websocket.Dialer{
		NetDialContext: d.connect, HandshakeTimeout: d.t.Patience,
		TLSClientConfig: d.t.TLS.Clone(), Subprotocols: []string{subprotocol},
	}
	conn, resp, err := dial.DialContext(d.ctx, "ws"+strings.TrimPrefix(*d.t.url.Load(), "http")+d.target, d.header)
	if errors.Is(err, websocket.ErrBadHandshake) {
		a, err := readAnswer("GET "+d.target+" over ws", resp)
		a.t = d.t
		return nil, nil, &a, err
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if conn.Subprotocol() != subprotocol {
		d.t.Errorf("subprotocol = %q", conn.Subprotocol())
	}
	return &socketSource{conn: conn}, resp.Header, nil, nil
}

// socketSource reads a WebSocket: each text frame is an event.
type socketSource struct{ conn *websocket.Conn }

func (s *socketSource) read() (Event, error) {
	kind, text, err := s.conn.ReadMessage()
	if err != nil {
		return Event{}, err
	}
	if kind != websocket.TextMessage {
		return Event{}, contractError("frame is not text: %q", text)
	}
	return parseEvent(text)
}

func (s *socketSource) end() { s.conn.Close() }

// ndjsonSource reads lines: each is an event.
type ndjsonSource struct {
	lines *bufio.Reader
	close func()
}

func (s *ndjsonSource) read() (Event, error) {
	line, err := s.lines.ReadBytes('\n')
	if err == io.EOF && len(line) > 0 {
		return Event{}, io.ErrUnexpectedEOF // an incomplete line is not an event
	}
	if err != nil {
		return Event{}, err
	}
	return parseEvent(line[:len(line)-1])
}

func (s *ndjsonSource) end() { s.close() }

// cursorParams lists the parameters that concern only a stream's start.
var cursorParams = []string{"since", "last_event_id", "lastEventId", "history", "wait"}

// resumeQuery returns a query that continues from a cursor.
func resumeQuery(query, cursor string) string {
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(fmt.Sprintf("a scenario asks for %q: %v", query, err))
	}
	for _, name := range cursorParams {
		values.Del(name)
	}
	values.Set("since", cursor)
	return values.Encode()
}
