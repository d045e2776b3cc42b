package api

import (
	"context"

	"tandem/chat"
)

// ReadRoom implements StrictServerInterface.
func (s *Server) ReadRoom(ctx context.Context, r ReadRoomRequestObject) (ReadRoomResponseObject, error) {
	reading, err := s.Chat.Read(ctx, viewer(ctx), r.Room, r.Body.Id)
	s.announceReading(ctx, reading)
	return ReadRoom204Response{}, err
}

// ReadConversation implements StrictServerInterface.
func (s *Server) ReadConversation(ctx context.Context, r ReadConversationRequestObject) (ReadConversationResponseObject, error) {
	reading, err := s.Chat.ReadPrivate(ctx, viewer(ctx), r.Username, r.Body.Id)
	s.announceReading(ctx, reading)
	return ReadConversation204Response{}, err
}

// announceReading announces a read marker to the caller's own streams and to those who may see it.
func (s *Server) announceReading(ctx context.Context, r chat.Reading) {
	if r.Moved {
		s.Hub.Publish(chat.InboxTopic(viewer(ctx).User), r.Own)
		s.Hub.PublishAll(r.To, r.Seen)
	}
}

// ListSeen implements StrictServerInterface.
func (s *Server) ListSeen(ctx context.Context, r ListSeenRequestObject) (ListSeenResponseObject, error) {
	seen, err := s.Chat.Seen(ctx, viewer(ctx), r.Room)
	return ListSeen200JSONResponse(seenList(seen)), err
}

// ListPrivateSeen implements StrictServerInterface.
func (s *Server) ListPrivateSeen(ctx context.Context, r ListPrivateSeenRequestObject) (ListPrivateSeenResponseObject, error) {
	seen, err := s.Chat.SeenPrivate(ctx, viewer(ctx), r.Username)
	return ListPrivateSeen200JSONResponse(seenList(seen)), err
}

func seenList(all []chat.Seen) SeenList {
	l := SeenList{Items: make([]Seen, 0, len(all))}
	for _, one := range all {
		l.Items = append(l.Items, Seen{Username: one.Name, MessageId: one.MessageID})
	}
	return l
}
