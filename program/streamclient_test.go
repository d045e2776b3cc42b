package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

type transport string

const (
	overSSE    transport = "sse"
	overWS     transport = "ws"
	overNDJSON transport = "ndjson"
	overPost   transport = "post"
	overH2     transport = "h2"
	overPoll   transport = "poll"
)

var transports = []transport{overSSE, overWS, overNDJSON, overPost, overH2, overPoll}

// pushing are the transports on which a stream is one connection's.
var pushing = transports[:5]

// onEach runs a scenario on each transport.
func onEach(t *testing.T, scenario func(t *testing.T, over transport)) {
	onPushing(t, scenario)
	t.Run(string(overPoll), func(t *testing.T) { scenario(t, overPoll) })
}

// onPushing leaves polls out: they are not answered for what is ephemeral, and what ends a stream between two of them
// refuses the next.
func onPushing(t *testing.T, scenario func(t *testing.T, over transport)) {
	for _, over := range pushing {
		t.Run(string(over), func(t *testing.T) { scenario(t, over) })
	}
}

func (over transport) isSSE() bool { return over == overSSE || over == overPost || over == overH2 }

func (over transport) method() string {
	if over == overPost {
		return "POST"
	}
	return "GET"
}

func (over transport) media() string {
	switch over {
	case overNDJSON:
		return "application/x-ndjson"
	case overPoll:
		return "application/json"
	}
	return "text/event-stream"
}

// transport is a new one for one stream. Without TLS, HTTP/2 is spoken by those who know that it is understood.
func (s *testServer) transport(over transport) *http.Transport {
	own := &http.Transport{TLSClientConfig: s.tls.Clone(), Protocols: new(http.Protocols)}
	own.Protocols.SetHTTP1(over != overH2)
	own.Protocols.SetHTTP2(over == overH2 && s.tls != nil)
	own.Protocols.SetUnencryptedHTTP2(over == overH2 && s.tls == nil)
	own.DisableKeepAlives = over != overH2 && over != overPoll
	return own
}

// stream is an open stream over any transport. It checks by itself what holds for all streams: every
// event fits the contract, stream_open is first, stream_close last, ids rise above stream_open's since, and
// the SSE id is the cursor.
type stream struct {
	t      *testing.T
	over   transport
	header http.Header // of the answer that began it
	source eventSource
	events chan event
	err    error // why it ended; read after events is closed

	open   event // the stream_open
	last   int64 // the latest durable id, or stream_open's position
	closed bool  // stream_close has come
	lists  map[string]event
	finish sync.Once
}

// eventSource is one connection. read blocks for the next event; end closes the connection, and may be
// called at any time.
type eventSource interface {
	read() (event, error)
	end()
}

// how says how to dial a stream: its query, further headers ("Name: value"), after how many bytes the
// connection breaks (0: never), and what must be closed before more than the opening is read (nil: nothing).
type how struct {
	query    string
	headers  []string
	cutAfter int64
	gate     <-chan struct{}
}

// open opens a stream, or fails the test.
func (c *client) open(over transport, query string, headers ...string) *stream {
	c.t.Helper()
	s, refusal, err := c.dial(over, how{query: query, headers: headers})
	if err != nil {
		c.t.Fatalf("open %s ?%s: %v", over, query, err)
	}
	if refusal != nil {
		c.t.Fatalf("open %s ?%s: refused with %d: %s", over, query, refusal.status, refusal.body)
	}
	return s
}

// refused opens a stream that must be refused before anything is streamed.
func (c *client) refused(over transport, query string, headers ...string) answer {
	c.t.Helper()
	s, refusal, err := c.dial(over, how{query: query, headers: headers})
	if err != nil {
		c.t.Fatalf("open %s ?%s: %v", over, query, err)
	}
	if s != nil {
		s.close()
		c.t.Fatalf("open %s ?%s: the stream opened instead of being refused", over, query)
	}
	return *refusal
}

// dial opens a stream, or returns the answer that refused it, or why there was none.
func (c *client) dial(over transport, h how) (*stream, *answer, error) {
	header := http.Header{}
	if c.AccessToken != "" {
		header.Set("Authorization", "Bearer "+c.AccessToken)
	}
	target := "/v1/events"
	if h.query != "" {
		target += "?" + h.query
	}
	connect := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		switch {
		case err != nil:
		case h.cutAfter > 0:
			conn = &breakingConn{Conn: conn, left: h.cutAfter}
		case h.gate != nil:
			err = conn.(*net.TCPConn).SetReadBuffer(128 << 10) // so that it fills soon, and yet flows well afterwards
			conn = &gatedConn{Conn: conn, left: 4096, gate: h.gate}
		}
		return conn, err
	}
	dial := c.dialBody
	switch over {
	case overWS:
		dial = c.dialWS
	case overPoll:
		dial = c.dialPoll
	}
	source, resp, err := dial(over, target, header, h.headers, connect)
	if err != nil {
		return nil, nil, err
	}
	if source == nil {
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, nil, err
		}
		checkAnswer(c.t, over.method(), target, resp.StatusCode, resp.Header, body)
		return nil, &answer{t: c.t, call: over.method() + " " + target + " over " + string(over), status: resp.StatusCode, header: resp.Header, body: body}, nil
	}
	checkAnswer(c.t, over.method(), target, resp.StatusCode, resp.Header, nil)
	s := &stream{t: c.t, over: over, header: resp.Header, source: source, events: make(chan event, 4096), lists: map[string]event{}}
	go s.pump()
	c.t.Cleanup(s.close)
	return s, nil, nil
}

// pump reads the source until it ends.
func (s *stream) pump() {
	defer close(s.events)
	for {
		e, err := s.source.read()
		if err != nil {
			if errors.Is(err, errContract) {
				s.t.Errorf("%s: %v", s.over, err)
			}
			s.err = err
			return
		}
		s.check(e)
		s.events <- e
	}
}

func (s *stream) check(e event) {
	if s.closed {
		s.t.Errorf("%s: after stream_close came %s", s.over, e.raw)
	}
	refused := e.Type == "stream_close" && e.Reason == "too_many_streams" // then it is the only event
	if (e.Type == "stream_open") != (s.open.raw == nil) && !refused || refused && s.open.raw != nil {
		s.t.Errorf("%s: stream_open must be the first event and come once: %s", s.over, e.raw)
	}
	switch e.Type {
	case "stream_open":
		s.open = e
		s.last = e.position(s.t)
		if s.over.isSSE() && e.cursor != e.Since {
			s.t.Errorf("the SSE id of stream_open is %q: %s", e.cursor, e.raw)
		}
		if !strings.HasSuffix(e.Since, "."+e.Log) {
			s.t.Errorf("since does not name the log: %s", e.raw)
		}
	case "stream_reset":
		s.last = e.Head // what follows is live from the head
		if s.over.isSSE() && e.cursor != fmt.Sprintf("%d.%s", e.Head, s.open.Log) {
			s.t.Errorf("the SSE id of stream_reset is %q: %s", e.cursor, e.raw)
		}
	case "ping":
		if at := e.position(s.t); at < s.last {
			s.t.Errorf("%s: ping is at %d after the event %d", s.over, at, s.last)
		}
		if s.over.isSSE() && e.cursor != e.Since {
			s.t.Errorf("the SSE id of ping is %q: %s", e.cursor, e.raw)
		}
	case "stream_close":
		s.closed = true
	}
	if e.ID != 0 {
		if e.ID <= s.last {
			s.t.Errorf("%s: the event %d came after %d", s.over, e.ID, s.last)
		}
		s.last = e.ID
		if want := fmt.Sprintf("%d.%s", e.ID, s.open.Log); s.over.isSSE() && e.cursor != want {
			s.t.Errorf("the SSE id is %q, not %q: %s", e.cursor, want, e.raw)
		}
	}
	if s.over.isSSE() && e.name != e.Type {
		s.t.Errorf("the SSE event is named %q: %s", e.name, e.raw)
	}
}

var (
	errPatience = errors.New("nothing came in time")
	errContract = errors.New("against the contract")
)

// next returns the next event, why the stream ended, or errPatience.
func (s *stream) next(timeout time.Duration) (event, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case e, ok := <-s.events:
		if !ok {
			return event{}, s.err
		}
		return e, nil
	case <-timer.C:
		return event{}, errPatience
	}
}

// close ends the connection and waits until nothing of the stream runs any more.
func (s *stream) close() {
	s.finish.Do(func() {
		s.source.end()
		for range s.events { // until pump ends
		}
	})
}

// must returns the next event of one of the types, and fails the test at any other. A ping may come at any time: it
// is passed over where none is asked for.
func (s *stream) must(types ...string) event {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		e, err := s.next(time.Until(deadline))
		if err != nil {
			s.t.Fatalf("%s: waiting for %v: %v", s.over, types, err)
		}
		if slices.Contains(types, e.Type) {
			return e
		}
		if e.Type != "ping" {
			s.t.Fatalf("%s: waiting for %v came %s", s.over, types, e.raw)
		}
	}
}

// until collects events up to one that fits, and returns them all, that one last.
func (s *stream) until(fits func(event) bool) []event {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	var seen []event
	for {
		e, err := s.next(time.Until(deadline))
		if err != nil {
			s.t.Fatalf("%s: %v; until then came %s", s.over, err, show(seen))
		}
		if seen = append(seen, e); fits(e) {
			return seen
		}
	}
}

// untilMessage collects up to the chat_message with that text.
func (s *stream) untilMessage(text string) []event {
	s.t.Helper()
	return s.until(func(e event) bool { return e.Type == "chat_message" && e.Message == text })
}

// message is the next event, which must be the chat_message with that text.
func (s *stream) message(text string) event {
	s.t.Helper()
	e := s.must("chat_message")
	if e.Message != text {
		s.t.Fatalf("%s: waiting for %q came %s", s.over, text, e.raw)
	}
	return e
}

// opening reads stream_open and the user_list of each room, keeps the lists, and returns the former.
func (s *stream) opening() event {
	s.t.Helper()
	open := s.must("stream_open")
	for range open.Rooms {
		list := s.must("user_list")
		s.lists[list.Room] = list
	}
	for _, name := range open.Rooms {
		if _, has := s.lists[name]; !has {
			s.t.Fatalf("%s: no user_list of %q", s.over, name)
		}
	}
	return open
}

// ending reads to the end and returns the last event and why the stream ended.
func (s *stream) ending() (event, error) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	var last event
	for {
		e, err := s.next(time.Until(deadline))
		if errors.Is(err, errPatience) {
			s.t.Fatalf("%s: the stream does not end; its last event is %s", s.over, last.raw)
		}
		if err != nil {
			return last, err
		}
		last = e
	}
}

// closeCode is the code of a WebSocket's close frame, or 0.
func closeCode(err error) int {
	var closing *websocket.CloseError
	if errors.As(err, &closing) {
		return closing.Code
	}
	return 0
}
