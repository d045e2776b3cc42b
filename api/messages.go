package api

import (
	"context"
	"net/http"
	"strconv"

	"tandem/chat"
)

// PostMessage implements StrictServerInterface.
func (s *Server) PostMessage(ctx context.Context, r PostMessageRequestObject) (PostMessageResponseObject, error) {
	d := chat.Draft{Key: valueOr(r.Params.IdempotencyKey, "")}
	if r.JSONBody != nil {
		d.Text, d.Nonce = r.JSONBody.Message, valueOr(r.JSONBody.Nonce, "")
	} else {
		d.Text = valueOr(r.TextBody, "")
	}
	e, posted, err := s.Chat.Post(ctx, viewer(ctx), r.Room, d)
	if err != nil {
		return nil, err
	}
	if posted {
		return rawJSON{http.StatusCreated, e.JSON()}, nil
	}
	return rawJSON{http.StatusOK, e.JSON()}, nil
}

// ListMessages implements StrictServerInterface.
func (s *Server) ListMessages(ctx context.Context, r ListMessagesRequestObject) (ListMessagesResponseObject, error) {
	if r.Params.Before != nil && r.Params.After != nil {
		return nil, badField("before", "before and after exclude each other")
	}
	limit := valueOr(r.Params.Limit, defaultLimit)
	p := chat.Page{
		Before:   valueOr(r.Params.Before, 0),
		After:    valueOr(r.Params.After, 0),
		HasAfter: r.Params.After != nil,
		Limit:    limit + 1, // one more tells whether there is more
	}
	events, err := s.Chat.History(ctx, viewer(ctx), r.Room, p)
	if err != nil {
		return nil, err
	}
	more := len(events) > limit
	switch {
	case more && p.HasAfter:
		events = events[:limit]
	case more:
		events = events[1:]
	}
	// Where a page was reached from one side, there is more on that side.
	prev, next := more, p.Before != 0
	if p.HasAfter {
		prev, next = p.After > 0, more
	}
	return rawJSON{http.StatusOK, messagePage(events, prev, next)}, nil
}

// messagePage is a MessagePage, made of the events' own bytes.
func messagePage(events []chat.Event, prev, next bool) []byte {
	b := []byte(`{"items":[`)
	for i := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = events[i].AppendJSON(b)
	}
	edge := func(there bool, i int) {
		if there && len(events) > 0 {
			b = strconv.AppendInt(b, events[i].ID, 10)
		} else {
			b = append(b, "null"...)
		}
	}
	b = append(b, `],"prev":`...)
	edge(prev, 0)
	b = append(b, `,"next":`...)
	edge(next, len(events)-1)
	return append(b, '}')
}

// rawJSON is an answer whose JSON is finished: events have one encoder, and a message is the same bytes here
// as in the stream.
type rawJSON struct {
	status int
	body   []byte
}

func (a rawJSON) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, err := w.Write(a.body)
	return err
}

// VisitPostMessageResponse implements PostMessageResponseObject.
func (a rawJSON) VisitPostMessageResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListMessagesResponse implements ListMessagesResponseObject.
func (a rawJSON) VisitListMessagesResponse(w http.ResponseWriter) error { return a.write(w) }
