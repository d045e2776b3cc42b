package api

import (
	"cmp"
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
		page.Items = append(page.Items, Conversation{
			Username: c.With.Name, Unread: c.Unread, LastId: c.LastID, Notify: NotifyLevel(cmp.Or(c.Level, chat.NotifyConversations)),
		})
	}
	return page, nil
}

// PostPrivateMessage implements StrictServerInterface.
func (s *Server) PostPrivateMessage(ctx context.Context, r PostPrivateMessageRequestObject) (PostPrivateMessageResponseObject, error) {
	return posted(s.Chat.Send(ctx, viewer(ctx), r.Username, draft(r.JSONBody, r.TextBody, r.Params.IdempotencyKey)))
}

// EditPrivateMessage implements StrictServerInterface.
func (s *Server) EditPrivateMessage(ctx context.Context, r EditPrivateMessageRequestObject) (EditPrivateMessageResponseObject, error) {
	return edited(s.Chat.EditPrivate(ctx, viewer(ctx), r.Username, r.Id, change(r.Body)))
}

// DeletePrivateMessage implements StrictServerInterface.
func (s *Server) DeletePrivateMessage(ctx context.Context, r DeletePrivateMessageRequestObject) (DeletePrivateMessageResponseObject, error) {
	return DeletePrivateMessage204Response{}, s.Chat.DeletePrivate(ctx, viewer(ctx), r.Username, r.Id)
}

// draft returns the message that was sent, as JSON or as text.
func draft(body *NewMessage, raw *string, key *string) chat.Draft {
	d := chat.Draft{Key: valueOr(key, "")}
	if body != nil {
		d.Text, d.Data, d.Files = valueOr(body.Message, ""), body.Data, valueOr(body.Files, nil)
		d.Nonce, d.ReplyTo, d.Thread = valueOr(body.Nonce, ""), valueOr(body.ReplyTo, 0), valueOr(body.Thread, 0)
	} else {
		d.Text = valueOr(raw, "")
	}
	return d
}

func change(body *MessageChange) chat.MessageChange {
	return chat.MessageChange{Text: body.Message, Data: body.Data}
}

// posted is the response to posting: 200 for a retry.
func posted(e chat.Event, fresh bool, err error) (rawJSON, error) {
	if fresh {
		return rawJSON{http.StatusCreated, e.JSON()}, err
	}
	return rawJSON{http.StatusOK, e.JSON()}, err
}

// edited is the response to editing: the message as it is now.
func edited(e chat.Event, err error) (rawJSON, error) { return rawJSON{http.StatusOK, e.JSON()}, err }
