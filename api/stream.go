package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
	"github.com/labstack/echo/v4"

	"tandem/auth"
	"tandem/chat"
	"tandem/realtime"
)

// openStream answers GET /v1/events. Everything that can be refused is refused before the first byte.
func (s *Server) openStream(c echo.Context) error {
	r := c.Request()
	query := r.URL.Query()
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
	s.tellStreams(h)
	stream, err := s.Hub.Open(r.Context(), v, framer, request)
	settle(err)
	if errors.Is(err, realtime.ErrTooManyStreams) {
		if framer != realtime.WebSocket {
			h.Set(headerLeft, leftStreams)
			h.Set("Retry-After", strconv.Itoa(seconds(realtime.RetryTooMany)))
			return err
		}
		stream, err = s.Hub.Refuse(v, framer) // a browser shows its page no 429 of a handshake
	}
	if err != nil {
		return err
	}
	if framer == realtime.WebSocket {
		return stream.ServeWebSocket(c.Response(), r, s.commander(v, request.Rooms).answer)
	}
	return stream.ServeSSE(c.Response())
}

// streamViewer takes an access token from the header, or a ticket from the query, or the cookie. settle is to be told
// what came of it, before the answer begins: a stream that was refused costs no ticket.
func (s *Server) streamViewer(c echo.Context, query url.Values) (v chat.Viewer, settle func(refused error), err error) {
	settle = func(error) {}
	r := c.Request()
	ticket := query.Get("ticket")
	cookie, _ := c.Cookie(streamCookie)
	switch {
	case r.Header.Get("Authorization") != "":
		v, err = s.bearer(r)
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
		v, err = s.byCookie(r, cookie.Value) // an EventSource that comes back with its first URL
		return v, settle, err
	}
	if err != nil {
		return chat.Viewer{}, settle, err
	}
	return viewerOf(id), func(refused error) {
		ctx := context.WithoutCancel(r.Context())
		switch {
		case refused != nil:
			_ = giveBack(ctx) // fails where the session has ended
		case s.allowedPage(r):
			if value, life, err := s.Auth.Cookie(ctx, id); err == nil && value != "" {
				s.writeCookie(c, value, int(life.Seconds()))
			}
		}
	}, nil
}

// transport is what the client asks for: by Upgrade, by format, by Accept.
func transport(r *http.Request, query url.Values) (realtime.Framer, error) {
	upgrade := websocket.IsWebSocketUpgrade(r)
	switch format := query.Get("format"); {
	case format == "ws" && !upgrade:
		return nil, badField("format", "ws needs a WebSocket handshake")
	case format == "sse" && upgrade:
		return nil, badField("format", "a WebSocket handshake asks for ws")
	case upgrade:
		return realtime.WebSocket, realtime.CheckHandshake(r)
	case format == "sse" || acceptsSSE(r.Header.Values("Accept")):
		return realtime.SSE, nil
	}
	return nil, badField("Accept", "the stream is text/event-stream, or a WebSocket")
}

func acceptsSSE(accept []string) bool {
	if len(accept) == 0 {
		return true
	}
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, _, _ := strings.Cut(part, ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "text/event-stream", "text/*", "*/*", "":
			return true
		}
	}
	return false
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
		req.History, _ = strconv.Atoi(n) // validated by the description
	}
	// The header wins: an EventSource repeats its URL, with the since of its first connection.
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		if cursor, err := chat.ParseCursor(last); err == nil {
			req.Cursor = &cursor
		} else {
			req.Malformed = true // an EventSource would never come back from a 400
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
