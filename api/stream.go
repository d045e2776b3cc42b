package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"tandem/auth"
	"tandem/chat"
	"tandem/realtime"
)

// openStream serves GET and POST /v1/events. Everything that can be refused is refused before the first byte.
func (s *Server) openStream(c echo.Context) error {
	r := c.Request()
	query := r.URL.Query()
	if r.Method == http.MethodPost && r.ContentLength != 0 {
		return badField("body", "pass the stream's parameters in the query, as with GET")
	}
	framer, err := transport(r, query)
	if err != nil {
		return err
	}
	request, err := streamRequest(r, query)
	if err != nil {
		return err
	}
	v, settle, err := s.streamViewer(c, query)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	s.setStreamLimit(h)
	var stream *realtime.Stream
	if err = s.limitHistory(r.Context(), h, v.User, request.History); err == nil {
		stream, err = s.Hub.Open(r.Context(), v, framer, request)
	}
	served := false
	defer func() {
		if stream != nil && !served { // the code below has panicked
			stream.Drop()
		}
	}()
	settle(err)
	if errors.Is(err, realtime.ErrTooManyStreams) {
		s.counts.streams.Add(1)
		if framer != realtime.WebSocket {
			h.Set(headerLeft, leftStreams)
			h.Set("Retry-After", strconv.Itoa(seconds(realtime.RetryTooMany)))
			return err
		}
		stream, err = s.Hub.Refuse(v, framer) // a browser does not show its page a 429 of a handshake
	}
	if err != nil {
		return err
	}
	switch framer {
	case realtime.WebSocket:
		err = stream.ServeWebSocket(c.Response(), r, s.commands(request.Rooms))
	case realtime.Poll:
		err = stream.ServePoll(c.Response(), r, pollWait(request, query))
	default:
		err = stream.ServeHTTP(c.Response(), r)
	}
	served = true
	return err
}

// streamViewer authenticates by an access token in the header, a ticket in the query, or the cookie. Call settle with
// the outcome before the response begins: a refused stream does not use up a ticket.
func (s *Server) streamViewer(c echo.Context, query url.Values) (v chat.Viewer, settle func(refused error), err error) {
	settle = func(error) {}
	r := c.Request()
	ticket := query.Get("ticket")
	cookie, _ := c.Cookie(streamCookie)
	switch {
	case r.Header.Get("Authorization") != "":
		v, err = s.bearer(r, "")
		return v, settle, err
	case ticket == "" && cookie == nil:
		v, err = s.anonymous(c)
		return v, settle, err
	}
	if ticket == "" {
		v, err = s.byCookie(r, cookie.Value)
		return v, settle, err
	}
	id, giveBack, err := s.Auth.SpendTicket(r.Context(), ticket)
	if errors.Is(err, auth.ErrInvalidTicket) && cookie != nil {
		v, err = s.byCookie(r, cookie.Value) // an EventSource that reconnects to its first URL
		return v, settle, err
	}
	if err != nil {
		return chat.Viewer{}, settle, err
	}
	return viewerOf(id), func(refused error) {
		ctx := context.WithoutCancel(r.Context())
		switch {
		case refused != nil:
			_ = giveBack(ctx) // fails if the session has ended
		case s.allowedPage(r):
			if value, life, err := s.Auth.Cookie(ctx, id); err == nil && value != "" {
				s.writeCookie(c, value, int(life.Seconds()))
			}
		}
	}, nil
}

func streamRequest(r *http.Request, query url.Values) (realtime.Request, error) {
	req := realtime.Request{Site: query.Get("site") == "1"}
	for _, room := range query["room"] {
		if room == "*" {
			req.All = true
		} else {
			req.Rooms = append(req.Rooms, room)
		}
	}
	if n := query.Get("history"); n != "" {
		req.History, _ = strconv.Atoi(n) // the spec has validated it
	}
	// The header wins: an EventSource repeats its URL, with the since of its first connection.
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		if cursor, err := chat.ParseCursor(last); err == nil {
			req.Cursor = &cursor
		} else {
			req.Malformed = true // an EventSource would never reconnect after a 400
		}
		return req, nil
	}
	for _, name := range []string{"since", "last_event_id", "lastEventId"} {
		if !query.Has(name) {
			continue
		}
		cursor, err := chat.ParseCursor(query.Get(name))
		if err != nil {
			return req, badField(name, "%s", err)
		}
		req.Cursor = &cursor
		break
	}
	return req, nil
}

// pollWait returns how long a poll may wait: one without a cursor is answered at once.
func pollWait(req realtime.Request, query url.Values) time.Duration {
	if req.Cursor == nil {
		return 0
	}
	if seconds, err := strconv.Atoi(query.Get("wait")); err == nil { // the spec has validated it
		return time.Duration(seconds) * time.Second
	}
	return realtime.PollWait
}
