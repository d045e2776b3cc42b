package program

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// pollSource makes one stream of many long polls, each of which goes on where the one before ended. Every answer
// begins with stream_open and the lists; behind the first answer's they are left out, but for the lists that tell
// something new.
type pollSource struct {
	*client
	ctx    context.Context
	cancel context.CancelFunc
	http   *http.Transport
	header http.Header
	query  url.Values
	queue  []event
	known  map[string][]string // who is in each room
	closed bool
}

// pollAnswer is the answer to one poll.
type pollAnswer struct {
	events []event
	since  string
}

// dialPoll makes the first poll, which does not wait unless its target says so: streams open at once, whatever there is
// to replay. It returns a source, or the answer that refused it with its body unread.
func (c *client) dialPoll(_ transport, target string, header http.Header, lines []string, connect connector) (eventSource, *http.Response, error) {
	s := &pollSource{client: c, http: c.server.transport(overPoll), header: header, known: map[string][]string{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http.DialContext = connect
	s.header.Set("Accept", overPoll.media())
	addHeaders(s.header, lines)
	first := target
	if !strings.Contains(first, "wait=") {
		sep := "?"
		if strings.Contains(first, "?") {
			sep = "&"
		}
		first += sep + "wait=0"
	}
	resp, err := s.poll(first)
	if err != nil || resp.StatusCode != 200 {
		context.AfterFunc(c.t.Context(), s.end)
		return nil, resp, err
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil, nil, err
	}
	s.query = u.Query()
	return s, resp, s.take(resp, "")
}

func (s *pollSource) poll(target string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(s.ctx, "GET", s.server.url+target, nil)
	if err != nil {
		return nil, err
	}
	req.Header = s.header
	return s.http.RoundTrip(req)
}

// take queues an answer's events. since is what was asked for; empty for the first poll.
func (s *pollSource) take(resp *http.Response, since string) error {
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return err
	}
	checkAnswer(s.t, "GET", "/v1/events", resp.StatusCode, resp.Header, body)
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		s.t.Errorf("the answer to a poll has Cache-Control %q", got)
	}
	got, err := parsePoll(body)
	if err != nil {
		return err
	}
	if since != "" {
		reset := slices.ContainsFunc(got.events, func(e event) bool { return e.Type == "stream_reset" })
		if open := got.events[0]; !reset && (open.Since != since || !open.Resumed) {
			return fmt.Errorf("%w: the poll behind %s opened with %s", errContract, since, open.raw)
		}
		got.events = got.events[1:]
	}
	for _, e := range got.events {
		switch {
		case e.Type == "user_list" && since != "" && slices.Equal(e.Users, s.known[e.Room]):
			continue
		case e.Type == "user_list":
			s.known[e.Room] = slices.Clone(e.Users)
		case e.Type == "user_join":
			s.known[e.Room] = sorted(append(s.known[e.Room], e.User))
		case e.Type == "user_leave":
			s.known[e.Room] = slices.DeleteFunc(s.known[e.Room], func(user string) bool { return user == e.User })
		case e.Type == "stream_close":
			s.closed = true
		}
		s.queue = append(s.queue, e)
	}
	for _, name := range []string{"since", "last_event_id", "lastEventId", "history"} {
		s.query.Del(name)
	}
	s.header.Del("Last-Event-ID")
	s.query.Set("since", got.since)
	return nil
}

// parsePoll reads an answer, and sees that it is nothing but the events' bytes, in the form that is promised.
func parsePoll(body []byte) (pollAnswer, error) {
	var parts struct {
		Events []json.RawMessage `json:"events"`
		Since  string            `json:"since"`
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		return pollAnswer{}, fmt.Errorf("%w: %w in %s", errContract, err, clip(body))
	}
	got := pollAnswer{since: parts.Since}
	raw := make([][]byte, 0, len(parts.Events))
	at, err := positionOf(got.since)
	if err != nil {
		return got, fmt.Errorf("%w: since is %q", errContract, got.since)
	}
	for _, part := range parts.Events {
		e, err := parseEvent(part)
		if err != nil {
			return got, err
		}
		if e.ID > at {
			return got, fmt.Errorf("%w: the answer's since is %s, behind which it has %s", errContract, got.since, e.raw)
		}
		got.events, raw = append(got.events, e), append(raw, part)
	}
	if want := `{"events":[` + string(bytes.Join(raw, []byte(","))) + `],"since":"` + got.since + `"}`; string(body) != want {
		return got, fmt.Errorf("%w: the answer is\n%s\nnot\n%s", errContract, body, want)
	}
	if len(got.events) == 0 {
		return got, fmt.Errorf("%w: an answer without events", errContract)
	}
	return got, nil
}

func (s *pollSource) read() (event, error) {
	for len(s.queue) == 0 {
		if s.closed {
			return event{}, io.EOF
		}
		since := s.query.Get("since")
		resp, err := s.poll("/v1/events?" + s.query.Encode())
		if err != nil {
			return event{}, err
		}
		if resp.StatusCode != 200 {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			return event{}, fmt.Errorf("%w with %d: %s", errRefused, resp.StatusCode, strings.TrimSpace(string(body)))
		}
		if err := s.take(resp, since); err != nil {
			return event{}, err
		}
	}
	e := s.queue[0]
	s.queue = s.queue[1:]
	return e, nil
}

func (s *pollSource) end() {
	s.cancel()
	s.http.CloseIdleConnections()
}

// errRefused is how a stream of polls ends that ended between two of them.
var errRefused = errors.New("the next poll was refused")

// awaitPolls returns when n polls wait, if over is a poll: between two of them there is nobody to be told anything.
func (p *testProgram) awaitPolls(t *testing.T, over transport, n int) {
	t.Helper()
	if over == overPoll {
		eventually(t, "polls wait", func() bool { return p.running.hub.Stats().Streams["json"] == n })
	}
}
