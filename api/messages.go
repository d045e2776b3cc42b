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
	p, err := s.Chat.History(ctx, viewer(ctx), r.Room, chat.Page{
		Before:   valueOr(r.Params.Before, 0),
		After:    valueOr(r.Params.After, 0),
		HasAfter: r.Params.After != nil,
		Limit:    valueOr(r.Params.Limit, defaultLimit),
	})
	if err != nil {
		return nil, err
	}
	return rawJSON{http.StatusOK, messagePage(p)}, nil
}

// messagePage is a MessagePage, made of the events' own bytes.
func messagePage(p chat.MessagePage) []byte {
	b := []byte(`{"items":[`)
	for i := range p.Events {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.Events[i].AppendJSON(b)
	}
	b = appendEdge(append(b, `],"prev":`...), p.Prev)
	b = appendEdge(append(b, `,"next":`...), p.Next)
	return append(b, '}')
}

func appendEdge(b []byte, id *int64) []byte {
	if id == nil {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, *id, 10)
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
