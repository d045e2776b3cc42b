package api

import (
	"context"
	"net/http"

	"tandem/chat"
)

// ListConversations implements StrictServerInterface.
func (s *Server) ListConversations(ctx context.Context, r ListConversationsRequestObject) (ListConversationsResponseObject, error) {
	limit := valueOr(r.Params.Limit, defaultLimit)
	all, err := s.Chat.Conversations(ctx, viewer(ctx), valueOr(r.Params.After, 0), limit+1)
	if err != nil {
		return nil, err
	}
	page := ListConversations200JSONResponse{Items: make([]Conversation, 0, len(all))}
	if len(all) > limit {
		all = all[:limit]
		page.Next = &all[limit-1].LastID
	}
	for _, c := range all {
		page.Items = append(page.Items, Conversation{Username: c.With.Name, Unread: c.Unread, LastId: c.LastID})
	}
	return page, nil
}

// PostPrivateMessage implements StrictServerInterface.
func (s *Server) PostPrivateMessage(ctx context.Context, r PostPrivateMessageRequestObject) (PostPrivateMessageResponseObject, error) {
	return posted(s.Chat.Send(ctx, viewer(ctx), r.Username, draft(r.JSONBody, r.TextBody, r.Params.IdempotencyKey)))
}

// EditPrivateMessage implements StrictServerInterface.
func (s *Server) EditPrivateMessage(ctx context.Context, r EditPrivateMessageRequestObject) (EditPrivateMessageResponseObject, error) {
	return edited(s.Chat.EditPrivate(ctx, viewer(ctx), r.Username, r.Id, r.Body.Message))
}

// DeletePrivateMessage implements StrictServerInterface.
func (s *Server) DeletePrivateMessage(ctx context.Context, r DeletePrivateMessageRequestObject) (DeletePrivateMessageResponseObject, error) {
	return DeletePrivateMessage204Response{}, s.Chat.DeletePrivate(ctx, viewer(ctx), r.Username, r.Id)
}

// ReadConversation implements StrictServerInterface.
func (s *Server) ReadConversation(ctx context.Context, r ReadConversationRequestObject) (ReadConversationResponseObject, error) {
	e, moved, err := s.Chat.ReadPrivate(ctx, viewer(ctx), r.Username, r.Body.Id)
	s.tellReader(ctx, e, moved && err == nil)
	return ReadConversation204Response{}, err
}

// tellReader tells the caller's own streams how far they have read.
func (s *Server) tellReader(ctx context.Context, e chat.Ephemeral, moved bool) {
	if moved {
		s.Hub.Publish(chat.InboxTopic(viewer(ctx).User), e)
	}
}

// draft is a message as it was sent, as JSON or as text.
func draft(body *NewMessage, raw *string, key *string) chat.Draft {
	d := chat.Draft{Key: valueOr(key, "")}
	if body != nil {
		d.Text, d.Nonce, d.ReplyTo = body.Message, valueOr(body.Nonce, ""), valueOr(body.ReplyTo, 0)
	} else {
		d.Text = valueOr(raw, "")
	}
	return d
}

// posted is the answer to posting: 200 where it is a retry.
func posted(e chat.Event, fresh bool, err error) (rawJSON, error) {
	if fresh {
		return rawJSON{http.StatusCreated, e.JSON()}, err
	}
	return rawJSON{http.StatusOK, e.JSON()}, err
}

// edited is the answer to editing: the message as it is now.
func edited(e chat.Event, err error) (rawJSON, error) { return rawJSON{http.StatusOK, e.JSON()}, err }
