package chat

import "context"

// MaxReceiptMembers is the largest room whose members see read receipts.
const MaxReceiptMembers = 100

// Seen is how far a user has read.
type Seen struct {
	Name      string
	MessageID int64
}

// Reading is what to announce after a read marker moved.
type Reading struct {
	Moved bool
	Own   Ephemeral // for the reader's own streams
	Seen  Ephemeral // for the topics in To: members with receipts
	To    []Topic
}

// hasReceipts reports whether a room shows read receipts, as long as it is not too large.
func (r *Room) hasReceipts() bool { return r.Receipts && r.Visibility == Private }

// seenInRoom returns the Reading of v's marker in a room.
func (s *Service) seenInRoom(ctx context.Context, v Viewer, r Room, at int64) (Reading, error) {
	reading := Reading{Moved: at != 0, Own: marker("message_read", r.Name, "", at), Seen: marker("message_seen", r.Name, v.Name, at)}
	if !reading.Moved || !r.hasReceipts() {
		return reading, nil
	}
	var err error
	reading.To, err = s.store.Watchers(ctx, v.User, RoomTopic(r.ID))
	return reading, err
}

// seenInPrivate is seenInRoom in the conversation with a user.
func (s *Service) seenInPrivate(ctx context.Context, v Viewer, other User, at int64) (Reading, error) {
	reading := Reading{Moved: at != 0, Own: marker("message_read", "", other.Name, at), Seen: marker("message_seen", "", v.Name, at)}
	if !reading.Moved || other.ID == v.User {
		return reading, nil
	}
	var err error
	reading.To, err = s.store.Watchers(ctx, v.User, ConversationTopic(v.User, other.ID))
	return reading, err
}

// Seen returns how far the other members of a room have read: those with receipts, if the viewer has them too.
func (s *Service) Seen(ctx context.Context, v Viewer, room string) ([]Seen, error) {
	view, err := s.Readable(ctx, v, room)
	if err != nil || !view.hasReceipts() {
		return nil, err
	}
	return s.store.Seen(ctx, v.User, RoomTopic(view.ID))
}

// SeenPrivate is Seen in the conversation with a user.
func (s *Service) SeenPrivate(ctx context.Context, v Viewer, username string) ([]Seen, error) {
	other, err := s.correspondent(ctx, v, username)
	if err != nil || other.ID == v.User {
		return nil, err
	}
	return s.store.Seen(ctx, v.User, ConversationTopic(v.User, other.ID))
}
