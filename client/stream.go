package client

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// Transport is a way to receive the events.
type Transport string

// The transports. Some proxies only buffer responses to GET, so SSE is tried by POST too.
const (
	WebSocket Transport = "ws"
	SSE       Transport = "sse"
	SSEPost   Transport = "sse-post"
	NDJSON    Transport = "ndjson"
	Poll      Transport = "poll"
)

// Conn is a connection that delivers events. Next and Close may be called concurrently.
type Conn struct {
	// Answer is the response that opened it; for a long poll the latest. Its body belongs to Next.
	Answer *http.Response
	next   func() ([]byte, error)
	stop   context.CancelFunc
	close  func() error
}

// Next waits for the next event and returns its JSON, which the caller may keep. io.EOF means that the connection ended
// without a reason.
func (c *Conn) Next() ([]byte, error) { return c.next() }

// Close ends the connection and a waiting Next.
func (c *Conn) Close() error {
	c.stop()
	return c.close()
}

const eventsPath = "/v1/events"

// Dial opens a stream. For a long poll, the first response has arrived. query is that of /v1/events. ctx bounds the
// whole stream.
func (c *Client) Dial(ctx context.Context, by Transport, query url.Values) (*Conn, error) {
	ctx, stop := context.WithCancel(ctx)
	conn := &Conn{stop: stop, close: func() error { return nil }}
	var err error
	switch by {
	case WebSocket:
		err = c.dialSocket(ctx, conn, query)
	case SSE:
		err = c.dialBody(ctx, conn, http.MethodGet, "text/event-stream", query, sse)
	case SSEPost:
		err = c.dialBody(ctx, conn, http.MethodPost, "text/event-stream", query, sse)
	case NDJSON:
		err = c.dialBody(ctx, conn, http.MethodGet, "application/x-ndjson", query, ndjson)
	case Poll:
		err = c.dialPoll(ctx, conn, query)
	default:
		err = fmt.Errorf("unknown transport %q", by)
	}
	if err != nil {
		stop()
		return nil, err
	}
	return conn, nil
}

func (c *Client) dialSocket(ctx context.Context, conn *Conn, query url.Values) error {
	dialer := websocket.Dialer{HandshakeTimeout: 15 * time.Second, Subprotocols: []string{"tandem.v1"}, Proxy: http.ProxyFromEnvironment}
	if t, ok := c.HTTP.Transport.(*http.Transport); ok {
		dialer.NetDialContext, dialer.TLSClientConfig = t.DialContext, t.TLSClientConfig.Clone()
		if dialer.TLSClientConfig != nil {
			dialer.TLSClientConfig.NextProtos = nil
		}
	}
	for refused := ""; ; {
		token, err := c.token(ctx, refused)
		if err != nil {
			return err
		}
		header := http.Header{}
		if token != "" {
			header.Set("Authorization", "Bearer "+token)
		}
		socket, resp, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(c.url(eventsPath, query), "http"), header)
		if err == nil {
			socket.SetReadLimit(MaxAnswer)
			conn.Answer, conn.close = resp, socket.Close
			conn.next = func() ([]byte, error) {
				_, text, err := socket.ReadMessage()
				return text, err
			}
			return nil
		}
		if resp == nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return &unreachable{err}
		}
		problem := ReadProblem(resp)
		if !problem.badToken() || token == "" || refused != "" {
			return problem
		}
		refused = token
	}
}

// dialBody opens a stream whose events are parts of one body, which split separates.
func (c *Client) dialBody(ctx context.Context, conn *Conn, method, kind string, query url.Values, split func(*bufio.Scanner) func() ([]byte, error)) error {
	resp, err := c.Send(ctx, Call{Method: method, Path: eventsPath, Query: query, Header: accept(kind)})
	if err != nil {
		return err
	}
	if got, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); got != kind {
		_ = resp.Body.Close()
		return fmt.Errorf("the response is %q, not a stream of %s", got, kind)
	}
	conn.Answer, conn.close = resp, resp.Body.Close
	lines := bufio.NewScanner(&inflated{body: resp.Body, packed: resp.Header.Get("Content-Encoding") == "gzip"})
	lines.Buffer(nil, MaxAnswer)
	conn.next = split(lines)
	return nil
}

// accept asks for a content type, compressed if a proxy likes: otherwise the client would not see what browsers get.
func accept(kind string) http.Header {
	return http.Header{"Accept": {kind}, "Accept-Encoding": {"gzip"}}
}

// inflated reads a body that may be compressed. It reads nothing before it is asked, because the header of a buffered
// stream arrives long before its body.
type inflated struct {
	body   io.Reader
	packed bool
}

func (i *inflated) Read(p []byte) (int, error) {
	if i.packed {
		unzip, err := gzip.NewReader(i.body)
		if err != nil {
			return 0, err
		}
		i.body, i.packed = unzip, false
	}
	return i.body.Read(p)
}

// sse returns the data of one event after the other; tandem's are one line each.
func sse(lines *bufio.Scanner) func() ([]byte, error) {
	return func() ([]byte, error) {
		for lines.Scan() {
			if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:")); ok {
				return bytes.Clone(bytes.TrimPrefix(data, []byte(" "))), nil
			}
		}
		return nil, ended(lines)
	}
}

func ndjson(lines *bufio.Scanner) func() ([]byte, error) {
	return func() ([]byte, error) {
		for lines.Scan() {
			if len(lines.Bytes()) > 0 {
				return bytes.Clone(lines.Bytes()), nil
			}
		}
		return nil, ended(lines)
	}
}

func ended(lines *bufio.Scanner) error {
	if err := lines.Err(); err != nil {
		return err
	}
	return io.EOF
}

// longest is how long a poll waits, in seconds, unless something cuts it earlier.
const longest = 25

// dialPoll polls repeatedly. The first response is immediate, which shows that polling works.
func (c *Client) dialPoll(ctx context.Context, conn *Conn, query url.Values) error {
	var events []json.RawMessage
	since := query.Get("since")
	ask := func(wait int) error {
		q := url.Values{}
		for name, values := range query {
			q[name] = values
		}
		q.Set("wait", strconv.Itoa(wait))
		if since != "" {
			q.Set("since", since)
			q.Del("history")
		}
		try, cancel := context.WithTimeoutCause(ctx, time.Duration(wait+20)*time.Second, &unreachable{context.DeadlineExceeded})
		defer cancel()
		resp, err := c.Send(try, Call{Method: http.MethodGet, Path: eventsPath, Query: q, Header: http.Header{"Accept": {"application/json"}}})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var answer struct {
			Events []json.RawMessage `json:"events"`
			Since  string            `json:"since"`
		}
		if err := json.NewDecoder(io.LimitReader(resp.Body, MaxAnswer)).Decode(&answer); err != nil {
			return fmt.Errorf("the response to a poll cannot be read: %w", err)
		}
		conn.Answer, events, since = resp, answer.Events, answer.Since
		return nil
	}
	wait := longest
	conn.next = func() ([]byte, error) {
		for len(events) == 0 {
			began := time.Now()
			err := ask(wait)
			if lasted := time.Since(began); err != nil && ctx.Err() == nil && wait > 2 && lasted > time.Second && lasted < time.Duration(wait)*time.Second {
				wait = max(1, int(lasted.Seconds()/2)) // something cuts it
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		event := events[0]
		events = events[1:]
		return event, nil
	}
	return ask(0)
}
