package chat

import "context"

// MaxUnread is the highest unread count; counting examines ten times as many messages at most. Higher counts would cost
// more than they are worth to a reader.
const MaxUnread = 1000

// Read records how far v has read in a room: the latest message up to id. It returns what to announce, also with an
// error if the marker has moved.
func (s *Service) Read(ctx context.Context, v Viewer, room string, id int64) (Reading, error) {
	view, err := s.Readable(ctx, v, room)
	if err != nil {
		return Reading{}, err
	}
	at, err := s.store.MarkRead(ctx, v.User, RoomTopic(view.ID), id)
	if err != nil {
		return Reading{}, err
	}
	return s.seenInRoom(ctx, v, view.Room, at)
}

// ReadPrivate is Read in the conversation with a user.
func (s *Service) ReadPrivate(ctx context.Context, v Viewer, username string, id int64) (Reading, error) {
	other, err := s.correspondent(ctx, v, username)
	if err != nil {
		return Reading{}, err
	}
	at, err := s.store.MarkRead(ctx, v.User, ConversationTopic(v.User, other.ID), id)
	if err != nil {
		return Reading{}, err
	}
	return s.seenInPrivate(ctx, v, other.User, at)
}

// marker returns the event that announces how far a user has read, in a room or in a conversation.
func marker(typ, room, user string, message int64) Ephemeral {
	return ephemeral(typ, struct {
		Type      string `json:"type"`
		Room      string `json:"room,omitempty"`
		User      string `json:"user,omitempty"`
		MessageID int64  `json:"message_id"`
	}{typ, room, user, message})
}
