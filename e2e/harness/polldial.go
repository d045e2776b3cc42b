package harness

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

// pollSource makes one stream out of many long polls, each of which continues where the last one ended. Every answer begins
// with stream_open and the user lists; pollSource drops them after the first answer, except for lists that have changed.
type pollSource struct {
	*Client
	ctx    context.Context
	cancel context.CancelFunc
	http   *http.Transport
	header http.Header
	query  url.Values
	queue  []Event
	known  map[string][]string // the users in each room
	closed bool
}

// PollAnswer is the answer to a poll.
type PollAnswer struct {
	Events []Event
	Since  string
}

// dialPoll makes the first poll. It does not wait unless its target says so: a stream opens at once, even if there is
// nothing to replay. It returns a source, or the answer that refused it with its body unread.
func (c *Client) dialPoll(_ Transport, target string, header http.Header, lines []string, connect connector) (eventSource, *http.Response, error) {
	s := &pollSource{Client: c, http: c.Server.Transport(OverPoll), header: header, known: map[string][]string{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http.DialContext = connect
	s.header.Set("Accept", OverPoll.media())
	AddHeaders(s.header, lines)
	first := target
	if !strings.Contains(first, "wait=") {
		sep := "?"
		if strings.Contains(first, "?") {
			sep = "&"
		}
		first += sep + "wait=0"
	}
	resp, err := s.Poll(first)
	if err != nil || resp.StatusCode != 200 {
		context.AfterFunc(c.T.Context(), s.end)
		return nil, resp, err
	}
	u, err := url.Parse(target)
	if err != nil {
		return nil, nil, err
	}
	s.query = u.Query()
	return s, resp, s.take(resp, "")
}

func (s *pollSource) Poll(target string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(s.ctx, "GET", s.Server.URL+target, nil)
	if err != nil {
		return nil, err
	}
	req.Header = s.header
	return s.http.RoundTrip(req)
}

// take queues an answer's events. since is the requested cursor; it is empty for the first poll.
func (s *pollSource) take(resp *http.Response, since string) error {
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return err
	}
	CheckAnswer(s.T, "GET", "/v1/events", resp.StatusCode, resp.Header, body)
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		s.T.Errorf("the answer to a poll has Cache-Control %q", got)
	}
	got, err := ParsePoll(body)
	if err != nil {
		return err
	}
	if since != "" {
		reset := slices.ContainsFunc(got.Events, func(e Event) bool { return e.Type == "stream_reset" })
		if open := got.Events[0]; !reset && (open.Since != since || !open.Resumed) {
			return fmt.Errorf("%w: the poll after %s opened with %s", errContract, since, open.Raw)
		}
		got.Events = got.Events[1:]
	}
	for _, e := range got.Events {
		switch {
		case e.Type == "user_list" && since != "" && slices.Equal(e.Users, s.known[e.Room]):
			continue
		case e.Type == "user_list":
			s.known[e.Room] = slices.Clone(e.Users)
		case e.Type == "user_join":
			s.known[e.Room] = Sorted(append(s.known[e.Room], e.User))
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
	s.query.Set("since", got.Since)
	return nil
}

// ParsePoll parses an answer and checks that it consists of the events' bytes in the documented form.
func ParsePoll(body []byte) (PollAnswer, error) {
	var parts struct {
		Events []json.RawMessage `json:"events"`
		Since  string            `json:"since"`
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		return PollAnswer{}, fmt.Errorf("%w: %w in %s", errContract, err, Clip(body))
	}
	got := PollAnswer{Since: parts.Since}
	raw := make([][]byte, 0, len(parts.Events))
	at, err := PositionOf(got.Since)
	if err != nil {
		return got, fmt.Errorf("%w: since is %q", errContract, got.Since)
	}
	for _, part := range parts.Events {
		e, err := ParseEvent(part)
		if err != nil {
			return got, err
		}
		if e.ID > at {
			return got, fmt.Errorf("%w: the answer's since is %s, but it contains %s", errContract, got.Since, e.Raw)
		}
		got.Events, raw = append(got.Events, e), append(raw, part)
	}
	if want := `{"events":[` + string(bytes.Join(raw, []byte(","))) + `],"since":"` + got.Since + `"}`; string(body) != want {
		return got, fmt.Errorf("%w: the answer is\n%s\nwant\n%s", errContract, body, want)
	}
	if len(got.Events) == 0 {
		return got, fmt.Errorf("%w: the answer has no events", errContract)
	}
	return got, nil
}

func (s *pollSource) Read() (Event, error) {
	for len(s.queue) == 0 {
		if s.closed {
			return Event{}, io.EOF
		}
		since := s.query.Get("since")
		resp, err := s.Poll("/v1/events?" + s.query.Encode())
		if err != nil {
			return Event{}, err
		}
		if resp.StatusCode != 200 {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			return Event{}, fmt.Errorf("%w with %d: %s", errRefused, resp.StatusCode, strings.TrimSpace(string(body)))
		}
		if err := s.take(resp, since); err != nil {
			return Event{}, err
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

// errRefused is the end of a stream that was closed between two polls.
var errRefused = errors.New("the next poll was refused")

// AwaitPolls waits until n polls are waiting, if over is a poll: between polls the server cannot reach the client.
func (p *Program) AwaitPolls(t *testing.T, over Transport, n int) {
	t.Helper()
	if over == OverPoll {
		Eventually(t, "the polls are waiting", func() bool { return p.Running.Stats().Streams["json"] == n })
	}
}
