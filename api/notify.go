package api

import (
	"context"

	"tandem/chat"
)

// NotifyRoom implements StrictServerInterface.
func (s *Server) NotifyRoom(ctx context.Context, r NotifyRoomRequestObject) (NotifyRoomResponseObject, error) {
	return NotifyRoom204Response{}, s.Chat.Notify(ctx, viewer(ctx), r.Room, chat.NotifyLevel(r.Body.Level))
}

// NotifyConversation implements StrictServerInterface.
func (s *Server) NotifyConversation(ctx context.Context, r NotifyConversationRequestObject) (NotifyConversationResponseObject, error) {
	return NotifyConversation204Response{}, s.Chat.NotifyPrivate(ctx, viewer(ctx), r.Username, chat.NotifyLevel(r.Body.Level))
}
