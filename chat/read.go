package chat

import "context"

// MaxUnread is up to where unread messages are counted, and ten times as many are looked at: to count on would cost more
// than anybody reads.
const MaxUnread = 1000

// Read notes how far v has read in a room: the latest message up to id. It returns what v's other streams are to hear
// of it, and whether anything.
func (s *Service) Read(ctx context.Context, v Viewer, room string, id int64) (Ephemeral, bool, error) {
	view, err := s.Readable(ctx, v, room)
	if err != nil {
		return Ephemeral{}, false, err
	}
	at, err := s.store.MarkRead(ctx, v.User, RoomTopic(view.ID), id)
	return messageRead(view.Name, "", at), at != 0, err
}

// ReadPrivate is Read in the conversation with a user.
func (s *Service) ReadPrivate(ctx context.Context, v Viewer, username string, id int64) (Ephemeral, bool, error) {
	other, err := s.correspondent(ctx, v, username)
	if err != nil {
		return Ephemeral{}, false, err
	}
	at, err := s.store.MarkRead(ctx, v.User, ConversationTopic(v.User, other.ID), id)
	return messageRead("", other.Name, at), at != 0, err
}

func messageRead(room, user string, message int64) Ephemeral {
	return ephemeral("message_read", struct {
		Type      string `json:"type"`
		Room      string `json:"room,omitempty"`
		User      string `json:"user,omitempty"`
		MessageID int64  `json:"message_id"`
	}{"message_read", room, user, message})
}
