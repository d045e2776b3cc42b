package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// pollSource polls repeatedly, each time from where the last answer ended.
type pollSource struct {
	*dialer
	stop context.CancelFunc // also ends a running poll

	waiting []Event
	since   string
	polls   int
	fails   error // after waiting is empty
}

// envelope is the answer to a poll.
type envelope struct {
	Events []json.RawMessage `json:"events"`
	Since  string            `json:"since"`
}

func parseEnvelope(body string) (envelope, error) {
	var e envelope
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return e, contractError("poll response = %s: %v", clip(body), err)
	}
	if rest, _ := io.ReadAll(d.Buffered()); len(bytes.TrimSpace(rest)) > 0 {
		return e, contractError("data after a poll response: %q", clip(string(rest)))
	}
	if _, err := position(e.Since); err != nil {
		return e, err
	}
	return e, nil
}

// answer queues an answer's events.
func (p *pollSource) answer(resp *http.Response) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.fails = err
		return
	}
	e, err := parseEnvelope(string(body))
	if err != nil {
		p.fails = err
		return
	}
	at, _ := position(e.Since) // parseEnvelope has checked it
	p.polls++
	for i, raw := range e.Events {
		event, err := parseEvent(raw)
		if err != nil {
			p.fails = err
			return
		}
		if i == 0 && event.Type != "stream_open" {
			p.fails = contractError("poll response starts with %s", clip(event.Raw))
			return
		}
		if event.ID > at {
			p.fails = contractError("poll response has event %d, but since = %s", event.ID, e.Since)
			return
		}
		if p.polls > 1 && event.Type == "stream_open" {
			if !event.Resumed || event.Since != p.since {
				p.fails = contractError("poll since %s: stream_open = %s", p.since, clip(event.Raw))
				return
			}
			continue
		}
		event.Again = p.polls > 1 && event.Type == "user_list"
		p.waiting = append(p.waiting, event)
		if event.Type == "stream_close" {
			p.fails = io.EOF
		}
	}
	p.since = e.Since
}

func (p *pollSource) read() (Event, error) {
	for len(p.waiting) == 0 {
		if p.fails != nil {
			return Event{}, p.fails
		}
		p.header.Del("Last-Event-ID")
		path, query, _ := strings.Cut(p.target, "?") // resumeQuery removes its wait=0
		resp, cancel, err := p.request(path + "?" + resumeQuery(query, p.since))
		if err != nil {
			return Event{}, err
		}
		if resp.StatusCode != http.StatusOK {
			a, _ := readAnswer("a poll", resp)
			cancel()
			if a.Status == http.StatusTooManyRequests { // between two polls another stream took the place
				time.Sleep(20 * time.Millisecond)
				continue
			}
			return Event{}, &refusedError{a}
		}
		p.answer(resp)
		cancel()
	}
	e := p.waiting[0]
	p.waiting = p.waiting[1:]
	return e, nil
}

func (p *pollSource) end() { p.stop() }

// refusedError means that a later poll was refused.
type refusedError struct{ Answer }

func (e *refusedError) Error() string { return e.String() }
