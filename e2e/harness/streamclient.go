package harness

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

type Transport string

const (
	OverSSE    Transport = "sse"
	OverWS     Transport = "ws"
	OverNDJSON Transport = "ndjson"
	OverPost   Transport = "post"
	OverH2     Transport = "h2"
	OverPoll   Transport = "poll"
)

var Transports = []Transport{OverSSE, OverWS, OverNDJSON, OverPost, OverH2, OverPoll}

// Pushing lists the transports on which a stream is one connection.
var Pushing = Transports[:5]

// OnEach runs a scenario on each transport.
func OnEach(t *testing.T, scenario func(t *testing.T, over Transport)) {
	OnPushing(t, scenario)
	t.Run(string(OverPoll), func(t *testing.T) { scenario(t, OverPoll) })
}

// OnPushing is like OnEach without polls: an ephemeral event does not complete a poll, and a stream that ends between two
// polls shows as a refusal of the next.
func OnPushing(t *testing.T, scenario func(t *testing.T, over Transport)) {
	for _, over := range Pushing {
		t.Run(string(over), func(t *testing.T) { scenario(t, over) })
	}
}

func (over Transport) isSSE() bool { return over == OverSSE || over == OverPost || over == OverH2 }

func (over Transport) Method() string {
	if over == OverPost {
		return "POST"
	}
	return "GET"
}

func (over Transport) media() string {
	switch over {
	case OverNDJSON:
		return "application/x-ndjson"
	case OverPoll:
		return "application/json"
	}
	return "text/event-stream"
}

// Transport returns a new transport for one stream. Without TLS it speaks HTTP/2 with prior knowledge.
func (s *Server) Transport(over Transport) *http.Transport {
	own := &http.Transport{TLSClientConfig: s.TLS.Clone(), Protocols: new(http.Protocols)}
	own.Protocols.SetHTTP1(over != OverH2)
	own.Protocols.SetHTTP2(over == OverH2 && s.TLS != nil)
	own.Protocols.SetUnencryptedHTTP2(over == OverH2 && s.TLS == nil)
	own.DisableKeepAlives = over != OverH2 && over != OverPoll
	return own
}

// Stream is an open stream over any transport. It checks what must hold for every stream: events match the contract,
// stream_open is first and stream_close last, ids increase from stream_open's since, and the SSE id is the cursor.
type Stream struct {
	t      *testing.T
	Over   Transport
	Header http.Header // of the response
	Source eventSource
	events chan *Event // pointers: a buffer of events took megabytes for each stream
	err    error       // why it ended; valid once events is closed

	Open   Event // the stream_open
	last   int64 // the last durable id, or stream_open's position
	closed bool  // stream_close was received
	Lists  map[string]Event
	finish sync.Once
}

// eventSource is one connection. Read blocks until the next event. End closes the connection and may be called at any time.
type eventSource interface {
	Read() (Event, error)
	end()
}

// Dialing says how to dial a stream: its query, further headers ("Name: value"), the number of bytes after which the
// connection breaks (0: never), and the channel to wait for before reading beyond the opening (nil: none).
type Dialing struct {
	Query    string
	Headers  []string
	CutAfter int64
	Gate     <-chan struct{}
}

// Open opens a stream or fails the test.
func (c *Client) Open(over Transport, query string, headers ...string) *Stream {
	c.T.Helper()
	s, refusal, err := c.Dial(over, Dialing{Query: query, Headers: headers})
	if err != nil {
		c.T.Fatalf("open %s ?%s: %v", over, query, err)
	}
	if refusal != nil {
		c.T.Fatalf("open %s ?%s: refused with %d: %s", over, query, refusal.Status, refusal.Body)
	}
	return s
}

// Refused checks that a stream is refused before anything is streamed.
func (c *Client) Refused(over Transport, query string, headers ...string) Answer {
	c.T.Helper()
	s, refusal, err := c.Dial(over, Dialing{Query: query, Headers: headers})
	if err != nil {
		c.T.Fatalf("open %s ?%s: %v", over, query, err)
	}
	if s != nil {
		s.Close()
		c.T.Fatalf("open %s ?%s: the stream was not refused", over, query)
	}
	return *refusal
}

// Dial opens a stream. Otherwise it returns the answer that refused it, or an error if there was none.
func (c *Client) Dial(over Transport, h Dialing) (*Stream, *Answer, error) {
	header := http.Header{}
	if c.AccessToken != "" {
		header.Set("Authorization", "Bearer "+c.AccessToken)
	}
	target := "/v1/events"
	if h.Query != "" {
		target += "?" + h.Query
	}
	connect := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		switch {
		case err != nil:
		case h.CutAfter > 0:
			conn = &breakingConn{Conn: conn, left: h.CutAfter}
		case h.Gate != nil:
			err = conn.(*net.TCPConn).SetReadBuffer(128 << 10) // small enough to fill soon, large enough to flow well afterwards
			conn = &gatedConn{Conn: conn, left: 4096, gate: h.Gate}
		}
		return conn, err
	}
	dial := c.dialBody
	switch over {
	case OverWS:
		dial = c.dialWS
	case OverPoll:
		dial = c.dialPoll
	}
	source, resp, err := dial(over, target, header, h.Headers, connect)
	if err != nil {
		return nil, nil, err
	}
	if source == nil {
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, nil, err
		}
		CheckAnswer(c.T, over.Method(), target, resp.StatusCode, resp.Header, body)
		return nil, &Answer{T: c.T, Call: over.Method() + " " + target + " over " + string(over), Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
	}
	CheckAnswer(c.T, over.Method(), target, resp.StatusCode, resp.Header, nil)
	s := &Stream{t: c.T, Over: over, Header: resp.Header, Source: source, events: make(chan *Event, 4096), Lists: map[string]Event{}}
	go s.pump()
	c.T.Cleanup(s.Close)
	return s, nil, nil
}

// pump reads the source until it ends.
func (s *Stream) pump() {
	defer close(s.events)
	for {
		e, err := s.Source.Read()
		if err != nil {
			if errors.Is(err, errContract) {
				s.t.Errorf("%s: %v", s.Over, err)
			}
			s.err = err
			return
		}
		s.check(e)
		s.events <- &e
	}
}

func (s *Stream) check(e Event) {
	if s.closed {
		s.t.Errorf("%s: event after stream_close: %s", s.Over, e.Raw)
	}
	refused := e.Type == "stream_close" && e.Reason == "too_many_streams" // such a stream has this event only
	if (e.Type == "stream_open") != (s.Open.Raw == nil) && !refused || refused && s.Open.Raw != nil {
		s.t.Errorf("%s: stream_open must be the first event, and only the first: %s", s.Over, e.Raw)
	}
	switch e.Type {
	case "stream_open":
		s.Open = e
		s.last = e.Position(s.t)
		if s.Over.isSSE() && e.cursor != e.Since {
			s.t.Errorf("the SSE id of stream_open is %q: %s", e.cursor, e.Raw)
		}
		if !strings.HasSuffix(e.Since, "."+e.Log) {
			s.t.Errorf("since does not name the log: %s", e.Raw)
		}
	case "stream_reset":
		s.last = e.Head // the stream continues live from the head
		if s.Over.isSSE() && e.cursor != fmt.Sprintf("%d.%s", e.Head, s.Open.Log) {
			s.t.Errorf("the SSE id of stream_reset is %q: %s", e.cursor, e.Raw)
		}
	case "ping":
		if at := e.Position(s.t); at < s.last {
			s.t.Errorf("%s: the ping is at %d, but the last event was %d", s.Over, at, s.last)
		}
		if s.Over.isSSE() && e.cursor != e.Since {
			s.t.Errorf("the SSE id of ping is %q: %s", e.cursor, e.Raw)
		}
	case "stream_close":
		s.closed = true
	}
	if e.ID != 0 {
		if e.ID <= s.last {
			s.t.Errorf("%s: got event %d after %d", s.Over, e.ID, s.last)
		}
		s.last = e.ID
		if want := fmt.Sprintf("%d.%s", e.ID, s.Open.Log); s.Over.isSSE() && e.cursor != want {
			s.t.Errorf("SSE id = %q, want %q: %s", e.cursor, want, e.Raw)
		}
	}
	if s.Over.isSSE() && e.name != e.Type {
		s.t.Errorf("the SSE event is named %q: %s", e.name, e.Raw)
	}
}

var (
	ErrPatience = errors.New("timed out waiting for an event")
	errContract = errors.New("contract violation")
)

// Next returns the next event. The error says why the stream ended, or is ErrPatience.
func (s *Stream) Next(timeout time.Duration) (Event, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case e, ok := <-s.events:
		if !ok {
			return Event{}, s.err
		}
		return *e, nil
	case <-timer.C:
		return Event{}, ErrPatience
	}
}

// Close ends the connection and waits for the stream's goroutine.
func (s *Stream) Close() {
	s.finish.Do(func() {
		s.Source.end()
		for range s.events { // until pump returns
		}
	})
}

// Must returns the next event, which must be of one of the types. A ping may come at any time, so pings are skipped unless
// asked for.
func (s *Stream) Must(types ...string) Event {
	s.t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		e, err := s.Next(time.Until(deadline))
		if err != nil {
			s.t.Fatalf("%s: waiting for %v: %v", s.Over, types, err)
		}
		if slices.Contains(types, e.Type) {
			return e
		}
		if e.Type != "ping" {
			s.t.Fatalf("%s: waiting for %v, got %s", s.Over, types, e.Raw)
		}
	}
}

// Until collects events up to the first for which fits reports true, and returns them all.
func (s *Stream) Until(fits func(Event) bool) []Event {
	s.t.Helper()
	deadline := time.Now().Add(Patience)
	var seen []Event
	for {
		e, err := s.Next(time.Until(deadline))
		if err != nil {
			s.t.Fatalf("%s: %v; got %s until then", s.Over, err, Show(seen))
		}
		if seen = append(seen, e); fits(e) {
			return seen
		}
	}
}

// UntilMessage collects events up to the chat_message with that text.
func (s *Stream) UntilMessage(text string) []Event {
	s.t.Helper()
	return s.Until(func(e Event) bool { return e.Type == "chat_message" && e.Message == text })
}

// Message returns the next event, which must be the chat_message with that text.
func (s *Stream) Message(text string) Event {
	s.t.Helper()
	e := s.Must("chat_message")
	if e.Message != text {
		s.t.Fatalf("%s: waiting for %q, got %s", s.Over, text, e.Raw)
	}
	return e
}

// Opening reads stream_open and the user_list of each room, keeps the lists, and returns stream_open.
func (s *Stream) Opening() Event {
	s.t.Helper()
	open := s.Must("stream_open")
	for range open.Rooms {
		list := s.Must("user_list")
		s.Lists[list.Room] = list
	}
	for _, name := range open.Rooms {
		if _, has := s.Lists[name]; !has {
			s.t.Fatalf("%s: no user_list of %q", s.Over, name)
		}
	}
	return open
}

// Ending reads to the end, and returns the last event and why the stream ended.
func (s *Stream) Ending() (last Event, err error) {
	s.t.Helper()
	events, err := s.Rest()
	if len(events) > 0 {
		last = events[len(events)-1]
	}
	return last, err
}

// Rest returns the remaining events of a stream and why it ended.
func (s *Stream) Rest() (events []Event, err error) {
	s.t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		e, err := s.Next(time.Until(deadline))
		if errors.Is(err, ErrPatience) {
			s.t.Fatalf("%s: the stream does not end; so far: %s", s.Over, Show(events))
		}
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}

// CloseCode returns the code of a WebSocket's close frame, or 0.
func CloseCode(err error) int {
	var closing *websocket.CloseError
	if errors.As(err, &closing) {
		return closing.Code
	}
	return 0
}
