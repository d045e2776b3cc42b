package suite

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Stream is an open stream. It checks what must hold for every stream: events match the contract, stream_open is first
// and stream_close last, ids increase, and the SSE id is the cursor.
type Stream struct {
	Over   Transport
	Header http.Header // of the response
	Open   Event       // set once Opening has read it
	Lists  map[string]Event

	t      *T
	user   *User
	query  string
	source source
	events chan *Event // pointers: a buffer of events took megabytes for each stream
	err    error       // why it ended; valid once events is closed
	finish sync.Once
	cursor string // the scenario's position

	present  map[string]map[string]bool // the users in each room, as far as the scenario has read
	reported []string                   // the presence events among that: "ada in", "ada out", for all rooms

	begun, closed bool   // state of the checks
	last          int64  // the last durable id, or where the stream began
	log           string // its name
}

// Open opens a stream over the tested transport.
func (t *T) Open(u *User, query string, headers ...string) *Stream {
	return t.OpenOver(t.Over, u, query, headers...)
}

// OpenOver opens a stream over a given transport.
func (t *T) OpenOver(over Transport, u *User, query string, headers ...string) *Stream {
	s, refusal, err := t.TryOver(over, u, how{query: query, headers: headers})
	if err != nil {
		t.Fatalf("open %s ?%s: %v", over.Name, query, err)
	}
	if refusal != nil {
		t.Fatalf("open %s ?%s: %s", over.Name, query, refusal)
	}
	return s
}

// Refused checks that a stream is refused before anything is streamed.
func (t *T) Refused(u *User, query string, headers ...string) Answer {
	s, refusal, err := t.TryOver(t.Over, u, how{query: query, headers: headers})
	if err != nil {
		t.Fatalf("open ?%s: %v", query, err)
	}
	if s != nil {
		t.Fatalf("stream ?%s %q opened, want a refusal", query, headers)
	}
	return *refusal
}

// TryOver opens a stream, or returns the answer that refused it.
func (t *T) TryOver(over Transport, u *User, h how) (*Stream, *Answer, error) {
	src, header, refusal, err := t.dial(u, over, h)
	if src == nil {
		return nil, refusal, err
	}
	s := &Stream{
		Over: over, Header: header, Lists: map[string]Event{},
		t: t, user: u, query: h.query, source: src, events: make(chan *Event, 4096),
	}
	go s.pump()
	t.own.mu.Lock()
	t.own.streams = append(t.own.streams, s)
	t.own.mu.Unlock()
	return s, nil, nil
}

func (s *Stream) pump() {
	defer close(s.events)
	for {
		e, err := s.source.read()
		if errors.Is(err, errContract) {
			s.t.Errorf("%s: %v", s.Over.Name, err)
		}
		if err != nil {
			s.err = err
			return
		}
		if wrong := s.check(e); wrong != "" {
			s.t.Errorf("%s: %s: %s", s.Over.Name, wrong, clip(e.Raw))
		}
		s.events <- &e
	}
}

// check checks an event against the previous ones and returns an error if it does not fit.
func (s *Stream) check(e Event) (wrong string) {
	if s.closed {
		return "after stream_close came"
	}
	refused := e.Type == "stream_close" && e.Reason == "too_many_streams" // such a stream has this event only
	if !s.begun && e.Type != "stream_open" && !refused {
		return "the first event is"
	}
	sse := s.Over.Wire == SSE
	if sse && e.Name != e.Type {
		return fmt.Sprintf("SSE event name = %q", e.Name)
	}
	cursor := "" // the required SSE id
	switch {
	case e.Type == "stream_open":
		if s.begun {
			return "stream_open came again"
		}
		at, err := position(e.Since)
		if err != nil || !strings.HasSuffix(e.Since, "."+e.Log) {
			return "since is no cursor of the log"
		}
		s.begun, s.last, s.log, cursor = true, at, e.Log, e.Since
	case e.Type == "stream_reset":
		s.last, cursor = e.Head, fmt.Sprintf("%d.%s", e.Head, s.log) // the stream continues live from the head
	case e.Type == "ping":
		at, err := position(e.Since)
		if err != nil || at < s.last {
			return fmt.Sprintf("after the event %d", s.last)
		}
		cursor = e.Since
	case e.Type == "stream_close":
		s.closed = true
	case e.ID != 0:
		if e.ID <= s.last {
			wrong = fmt.Sprintf("after event %d came the event", s.last)
		}
		s.last, cursor = e.ID, fmt.Sprintf("%d.%s", e.ID, s.log)
	}
	switch {
	case wrong != "" || !sse:
	case cursor == "" && e.HasID:
		wrong = fmt.Sprintf("ephemeral event has SSE id %q", e.Cursor)
	case cursor != "" && (e.Cursor != cursor || !e.HasID):
		wrong = fmt.Sprintf("SSE id = %q, want %q", e.Cursor, cursor)
	}
	return wrong
}

// Close ends the connection and waits for the stream's goroutine.
func (s *Stream) Close() {
	s.finish.Do(func() {
		s.source.end()
		for range s.events { // until pump returns
		}
	})
}

var errPatience = errors.New("timed out waiting for an event")

// next returns the next event, or why there is none.
func (s *Stream) next(timeout time.Duration) (Event, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case next, ok := <-s.events:
		if !ok {
			return Event{}, s.err
		}
		e := *next
		s.follow(e)
		switch {
		case e.ID != 0:
			s.cursor = fmt.Sprintf("%d.%s", e.ID, s.log)
		case e.Type == "stream_open", e.Type == "ping":
			s.cursor = e.Since
		case e.Type == "stream_reset":
			s.cursor = fmt.Sprintf("%d.%s", e.Head, s.log)
		}
		return e, nil
	case <-timer.C:
		return Event{}, errPatience
	}
}

// Until reads up to an event that fits, and returns everything up to it.
func (s *Stream) Until(what string, fits func(Event) bool) []Event {
	var seen []Event
	for deadline := time.Now().Add(s.t.Patience); ; {
		e, err := s.next(time.Until(deadline))
		if err != nil {
			s.t.Fatalf("%s: %[3]v while waiting for %[2]s; last events: %[4]s", s.Over.Name, what, err, clipAll(seen))
		}
		if seen = append(seen, e); fits(e) {
			return seen
		}
	}
}

// Next returns the next event of one of these types. It skips ephemeral events; a durable event of another type is a
// failure.
func (s *Stream) Next(types ...string) Event {
	seen := s.Until(strings.Join(types, " or "), func(e Event) bool {
		return slices.Contains(types, e.Type) && !e.Again || e.ID != 0 || e.Type == "stream_close"
	})
	e := seen[len(seen)-1]
	if !slices.Contains(types, e.Type) {
		s.t.Fatalf("%s: got %[3]s, want one of %[2]v", s.Over.Name, types, clip(e.Raw))
	}
	return e
}

// Durable returns the next durable event. A reset or an end is a failure.
func (s *Stream) Durable() Event {
	seen := s.Until("an event", func(e Event) bool {
		return e.ID != 0 || e.Type == "stream_reset" || e.Type == "stream_close"
	})
	e := seen[len(seen)-1]
	if e.ID == 0 {
		s.t.Fatalf("%s: got %s, want an event with an id", s.Over.Name, clip(e.Raw))
	}
	return e
}

// Message reads the next durable event, which must be these bytes.
func (s *Stream) Message(want Event) Event {
	e := s.Durable()
	if e.Raw != want.Raw {
		s.t.Fatalf("%s: got\n  %[3]s\nwant\n  %[2]s", s.Over.Name, clip(want.Raw), clip(e.Raw))
	}
	return e
}

// Messages reads the next durable events, which must be these.
func (s *Stream) Messages(want ...Event) {
	for _, e := range want {
		s.Message(e)
	}
}

// Durables reads all durable events up to the one with that id.
func (s *Stream) Durables(upto int64) (events []Event) {
	for {
		e := s.Durable()
		if events = append(events, e); e.ID >= upto {
			if e.ID > upto {
				s.t.Fatalf("%s: event %d is missing; got %s", s.Over.Name, upto, clip(e.Raw))
			}
			return events
		}
	}
}

// Opening reads stream_open and the user_list of each room, and returns stream_open.
func (s *Stream) Opening() Event {
	first := func() Event {
		e, err := s.next(s.t.Patience)
		if err != nil {
			s.t.Fatalf("%s: waiting for stream_open: %v", s.Over.Name, err)
		}
		return e
	}
	if s.Open = first(); s.Open.Type != "stream_open" {
		s.t.Fatalf("%s: stream_open = %s", s.Over.Name, clip(s.Open.Raw))
	}
	want := slices.Clone(s.Open.Rooms)
	if strings.Contains(s.query, "site=1") {
		want = append(want, "") // the site's list has no room
	}
	for range want {
		e := first()
		if e.Type != "user_list" || !slices.Contains(want, e.Room) || s.Lists[e.Room].Raw != "" {
			s.t.Fatalf("%s: got %[3]s, want a user_list of %[2]q", s.Over.Name, want, clip(e.Raw))
		}
		if s.Lists[e.Room] = e; e.Count < len(e.Users) || !slices.Contains(e.Users, s.Open.User) && e.Count == len(e.Users) {
			s.t.Errorf("%s: user %s is missing from the user_list %s", s.Over.Name, s.Open.User, clip(e.Raw))
		}
	}
	return s.Open
}

// Turn closes the stream and resumes it over the other transport, if a switch is tested. Otherwise it returns the
// stream itself.
func (s *Stream) Turn() *Stream {
	to := s.t.Then
	if s.Over.Name == to.Name {
		to = s.t.Over
	}
	if to.Name == s.Over.Name {
		return s
	}
	return s.Resume(to)
}

// Resume closes the stream and continues over a transport from where the scenario has read.
func (s *Stream) Resume(over Transport) *Stream {
	s.Close()
	next := s.t.OpenOver(over, s.user, resumeQuery(s.query, s.cursor))
	if e := next.Opening(); !e.Resumed || e.Since != s.cursor {
		s.t.Errorf("%s, resumed from %s: stream_open = %s", over.Name, s.cursor, clip(e.Raw))
	}
	return next
}

// Ended reads the stream to its end, which must be a stream_close with this reason and, for a WebSocket, its close
// code. A poll whose session has ended is refused with 401.
func (s *Stream) Ended(reason string, code int) {
	var last Event
	for deadline := time.Now().Add(s.t.Patience); ; {
		e, err := s.next(time.Until(deadline))
		if err == nil {
			last = e
			continue
		}
		var refused *refusedError
		if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
			return
		}
		if last.Type != "stream_close" || last.Reason != reason {
			s.t.Fatalf("%s: last event = %s, want a stream_close with reason %s (%v)", s.Over.Name, clip(last.Raw), reason, err)
		}
		var closing *websocket.CloseError
		switch {
		case s.Over.Wire != WebSocket && !errors.Is(err, io.EOF):
			s.t.Errorf("%s: response ended with %v", s.Over.Name, err)
		case s.Over.Wire == WebSocket && (!errors.As(err, &closing) || closing.Code != code):
			s.t.Errorf("WebSocket ended with %v, want close code %d", err, code)
		}
		return
	}
}

// Send sends a text frame over the WebSocket.
func (s *Stream) Send(text string) { s.send(websocket.TextMessage, text) }

func (s *Stream) send(kind int, text string) {
	if err := s.source.(*socketSource).conn.WriteMessage(kind, []byte(text)); err != nil {
		s.t.Fatalf("send %s: %v", clip(text), err)
	}
}

// rooms returns a query for these rooms.
func rooms(names ...string) string { return url.Values{"room": names}.Encode() }
