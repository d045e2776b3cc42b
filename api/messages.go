package api

import (
	"context"
	"net/http"
	"strconv"

	"tandem/chat"
)

// PostMessage implements StrictServerInterface.
func (s *Server) PostMessage(ctx context.Context, r PostMessageRequestObject) (PostMessageResponseObject, error) {
	return posted(s.Chat.Post(ctx, viewer(ctx), r.Room, draft(r.JSONBody, r.TextBody, r.Params.IdempotencyKey)))
}

// EditMessage implements StrictServerInterface.
func (s *Server) EditMessage(ctx context.Context, r EditMessageRequestObject) (EditMessageResponseObject, error) {
	return edited(s.Chat.EditMessage(ctx, viewer(ctx), r.Room, r.Id, change(r.Body)))
}

// DeleteMessage implements StrictServerInterface.
func (s *Server) DeleteMessage(ctx context.Context, r DeleteMessageRequestObject) (DeleteMessageResponseObject, error) {
	return DeleteMessage204Response{}, s.Chat.DeleteMessage(ctx, viewer(ctx), r.Room, r.Id)
}

// AddReaction implements StrictServerInterface.
func (s *Server) AddReaction(ctx context.Context, r AddReactionRequestObject) (AddReactionResponseObject, error) {
	return AddReaction204Response{}, s.Chat.React(ctx, viewer(ctx), r.Room, r.Id, r.Emoji, true)
}

// RemoveReaction implements StrictServerInterface.
func (s *Server) RemoveReaction(ctx context.Context, r RemoveReactionRequestObject) (RemoveReactionResponseObject, error) {
	return RemoveReaction204Response{}, s.Chat.React(ctx, viewer(ctx), r.Room, r.Id, r.Emoji, false)
}

// messagePage is a MessagePage, made of the events' own bytes.
func messagePage(p chat.MessagePage) []byte {
	b := appendItems([]byte(`{"items":[`), p.Events)
	b = appendEdge(append(b, `],"prev":`...), p.Prev)
	b = appendEdge(append(b, `,"next":`...), p.Next)
	return append(b, '}')
}

// mentionPage is a MentionPage.
func mentionPage(p chat.MessagePage) []byte {
	b := appendItems([]byte(`{"items":[`), p.Events)
	return append(appendEdge(append(b, `],"prev":`...), p.Prev), '}')
}

func appendItems(b []byte, events []chat.Event) []byte {
	for i := range events {
		if i > 0 {
			b = append(b, ',')
		}
		b = events[i].AppendJSON(b)
	}
	return b
}

func appendEdge(b []byte, id *int64) []byte {
	if id == nil {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, *id, 10)
}

// rawJSON is a response whose JSON is finished: events have one encoder, and a message has the same bytes here as in
// the stream.
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

// VisitEditMessageResponse implements EditMessageResponseObject.
func (a rawJSON) VisitEditMessageResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitPostPrivateMessageResponse implements PostPrivateMessageResponseObject.
func (a rawJSON) VisitPostPrivateMessageResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListPrivateMessagesResponse implements ListPrivateMessagesResponseObject.
func (a rawJSON) VisitListPrivateMessagesResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitEditPrivateMessageResponse implements EditPrivateMessageResponseObject.
func (a rawJSON) VisitEditPrivateMessageResponse(w http.ResponseWriter) error { return a.write(w) }
