package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Event is the part of an event that this package reads.
type Event struct {
	Raw         []byte `json:"-"`
	Type        string `json:"type"`
	ID          int64  `json:"id"`
	Room        string `json:"room"`
	User        string `json:"user"`
	Target      string `json:"target"`
	Message     string `json:"message"`
	MessageID   int64  `json:"message_id"`
	Deleted     bool   `json:"deleted"`
	Emoji       string `json:"emoji"`
	Thread      int64  `json:"thread"`
	ReplyTo     int64  `json:"reply_to"`
	Role        string `json:"role"`
	Title       string `json:"title"`
	Name        string `json:"name"`
	SentAt      time.Time
	Data        json.RawMessage `json:"data"`
	MentionsAll bool            `json:"mentions_all"`
	Mentions    []string        `json:"mentions"`
	Files       []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		Size int64  `json:"size"`
	} `json:"files"`
	Users []string `json:"users"`
	Count int      `json:"count"`

	// Of the stream itself.
	Rooms   []string `json:"rooms"`
	Lost    []string `json:"lost"`
	Since   string   `json:"since"`
	Resumed bool     `json:"resumed"`
	Log     string   `json:"log"`
	Head    int64    `json:"head"`
	Reason  string   `json:"reason"`
	RetryMS int64    `json:"retry_ms"`
}

// ParseEvent reads the JSON of an event.
func ParseEvent(raw []byte) (Event, error) {
	var e struct {
		Event
		Sent *time.Time `json:"sent_at"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return Event{}, fmt.Errorf("received something that is not a tandem event: %w", err)
	}
	if e.Sent != nil {
		e.SentAt = *e.Sent
	}
	e.Raw = raw
	return e.Event, nil
}

// Follower is a stream that reconnects automatically. Each durable event arrives once and in order, over any transport.
type Follower struct {
	Client *Client
	Rooms  []string
	Since  string // the cursor to resume from; it moves
	// History is how many messages of each room to start with if Since is "".
	History int
	// Transports are tried in this order; empty for all but NDJSON.
	Transports []Transport
	// Handle is called with every event, including the stream's own, except repeated openings of polls. An error ends
	// Run.
	Handle func(Event) error
	// Trouble, unless nil, is called with the reason why the stream is down and the time until the next try.
	Trouble func(err error, wait time.Duration)

	last int64
	log  string
}

const (
	firstEvent = 5 * time.Second  // a transport without an event by then does not work
	silence    = 45 * time.Second // pings come every 20
	steady     = time.Second      // a shorter connection is a failure of its transport
)

var (
	errNothing   = errors.New("no events arrive: something on the way buffers them")
	errSilent    = errors.New("no event for 45 seconds")
	errUserEnded = errors.New("the user is disabled")
)

// closed is a stream that the server ended, with its reason.
type closed struct {
	reason string
	retry  time.Duration
}

func (c *closed) Error() string { return "the server closed the stream: " + c.reason }

// Run follows until ctx ends, Handle returns an error, or the server refuses for good; it returns the reason.
func (f *Follower) Run(ctx context.Context) error {
	transports := f.Transports
	if len(transports) == 0 {
		transports = []Transport{WebSocket, SSE, SSEPost, Poll}
	}
	f.last, f.log = ParseCursor(f.Since)
	at, tried, failures := 0, 0, 0
	for {
		by := transports[at%len(transports)]
		began := time.Now()
		opened, err := f.connect(ctx, by)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err, final := f.final(err); final {
			return err
		}
		if opened && time.Since(began) > steady {
			tried, failures = 0, 0
		}
		wait := time.Duration(0)
		c, told := errors.AsType[*closed](err)
		switch {
		case told && c.reason == "restart":
			wait = c.retry
		case told && c.reason == "token_expired" && opened && time.Since(began) > steady, told && c.reason == "max_age":
		case !opened && transportFailed(err) && tried+1 < len(transports):
			at, tried = at+1, tried+1 // try the next one at once
		default:
			wait = max(backoff(failures), retryAfter(err))
			if told {
				wait = max(wait, c.retry)
			}
			failures++
			if failures > 1 && (!opened || time.Since(began) < steady) && transportFailed(err) {
				at++
			}
			tried = 0
		}
		if f.Trouble != nil && wait > 0 {
			f.Trouble(err, wait)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// transportFailed reports whether another transport may work: not if tandem itself answered, or nothing did.
func transportFailed(err error) bool {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Code == "" || p.Code == "bad_upgrade"
	}
	if _, told := errors.AsType[*closed](err); told {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	return true
}

// final returns what ends the stream for good.
func (f *Follower) final(err error) (error, bool) {
	if h, ok := errors.AsType[*handlerError](err); ok {
		return h.err, true
	}
	if errors.Is(err, ErrLoggedOut) {
		return err, true
	}
	if c, ok := errors.AsType[*closed](err); ok {
		switch c.reason {
		case "signed_out":
			return ErrLoggedOut, true
		case "disabled":
			return errUserEnded, true
		case "token_expired":
			if _, fixed := f.Client.Tokens.(Fixed); fixed {
				return ErrLoggedOut, true
			}
		}
	}
	if p, ok := errors.AsType[*Problem](err); ok && p.Code != "" && !p.Passing() && p.Code != "bad_upgrade" {
		return err, true
	}
	return err, false
}

// handlerError is an error returned by Handle.
type handlerError struct{ err error }

func (h *handlerError) Error() string { return h.err.Error() }

// connect runs one connection to its end, and reports whether an event arrived.
func (f *Follower) connect(ctx context.Context, by Transport) (opened bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dog := time.AfterFunc(firstEvent, func() { cancel(errNothing) })
	defer func() { dog.Stop() }()
	query := url.Values{"room": slices.Clone(f.Rooms)}
	if cursor := f.Cursor(); cursor != "" {
		query.Set("since", cursor)
	} else if f.History > 0 {
		query.Set("history", strconv.Itoa(f.History))
	}
	conn, err := f.Client.Dial(ctx, by, query)
	if err != nil {
		return false, f.why(ctx, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // a WebSocket does not end with its context
	for {
		raw, err := conn.Next()
		if err != nil {
			return opened, f.why(ctx, err)
		}
		dog.Stop()
		quiet := silence
		if by == Poll {
			quiet += longest * time.Second // it asks again only after that
		}
		dog = time.AfterFunc(quiet, func() { cancel(errSilent) })
		e, err := ParseEvent(raw)
		if err != nil {
			return opened, err
		}
		if e.Type == "stream_close" {
			return opened, &closed{e.Reason, time.Duration(e.RetryMS) * time.Millisecond}
		}
		again := opened && e.Type == "stream_open" && e.Resumed
		opened = true
		if f.take(e) && !again {
			if err := f.Handle(e); err != nil {
				return true, &handlerError{err}
			}
		}
	}
}

func (f *Follower) why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// take moves the cursor, and reports whether e is new.
func (f *Follower) take(e Event) bool {
	switch {
	case e.Type == "stream_open":
		f.log = e.Log
		if !e.Resumed {
			f.last, _ = ParseCursor(e.Since) // before the history
		}
	case e.Type == "stream_reset":
		f.last = e.Head
	case e.Type == "ping":
		id, _ := ParseCursor(e.Since)
		f.last = max(f.last, id)
	case e.ID > 0:
		if e.ID <= f.last {
			return false
		}
		f.last = e.ID
	}
	return true
}

// Cursor returns the stream's position; "" before the first event. Only Handle may call it.
func (f *Follower) Cursor() string {
	if f.log == "" {
		return f.Since
	}
	return fmt.Sprintf("%d.%s", f.last, f.log)
}

// ParseCursor parses <id>.<log>, or an id alone. It returns zero values for anything else.
func ParseCursor(text string) (id int64, log string) {
	number, log, _ := strings.Cut(text, ".")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0, ""
	}
	return id, log
}
