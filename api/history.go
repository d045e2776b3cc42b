package api

import (
	"context"
	"net/http"

	"tandem/chat"
)

// ListMessages implements StrictServerInterface.
func (s *Server) ListMessages(ctx context.Context, r ListMessagesRequestObject) (ListMessagesResponseObject, error) {
	p, err := historyPage(r.Params.Before, r.Params.After, r.Params.Limit, r.Params.Q, r.Params.Thread)
	if err != nil {
		return nil, err
	}
	page, err := s.Chat.History(ctx, viewer(ctx), r.Room, p)
	if err != nil {
		return nil, err
	}
	return rawJSON{http.StatusOK, messagePage(page)}, nil
}

// ListPrivateMessages implements StrictServerInterface.
func (s *Server) ListPrivateMessages(ctx context.Context, r ListPrivateMessagesRequestObject) (ListPrivateMessagesResponseObject, error) {
	p, err := historyPage(r.Params.Before, r.Params.After, r.Params.Limit, r.Params.Q, r.Params.Thread)
	if err != nil {
		return nil, err
	}
	page, err := s.Chat.PrivateHistory(ctx, viewer(ctx), r.Username, p)
	if err != nil {
		return nil, err
	}
	return rawJSON{http.StatusOK, messagePage(page)}, nil
}

// ListMentions implements StrictServerInterface.
func (s *Server) ListMentions(ctx context.Context, r ListMentionsRequestObject) (ListMentionsResponseObject, error) {
	page, err := s.Chat.Mentions(ctx, viewer(ctx), valueOr(r.Params.Before, 0), valueOr(r.Params.Limit, defaultLimit))
	if err != nil {
		return nil, err
	}
	return rawJSON{http.StatusOK, mentionPage(page)}, nil
}

// historyPage returns the page of messages that a query asks for.
func historyPage(before, after *int64, limit *Limit, q *Search, thread *InThread) (chat.Page, error) {
	if before != nil && after != nil {
		return chat.Page{}, badField("before", "use either before or after, not both")
	}
	p := chat.Page{Before: valueOr(before, 0), After: valueOr(after, 0), HasAfter: after != nil, Limit: valueOr(limit, defaultLimit), Thread: valueOr(thread, 0)}
	if q == nil {
		return p, nil
	}
	asked, err := chat.ParseQuery(*q)
	p.Query = &asked
	return p, err
}
