package chat

import "context"

// NotifyLevel says which messages of a room or conversation a user is notified of.
type NotifyLevel string

// The values of NotifyLevel.
const (
	NotifyAll      NotifyLevel = "all"
	NotifyMentions NotifyLevel = "mentions"
	NotifyNone     NotifyLevel = "none"
)

// The defaults.
const (
	NotifyRooms         = NotifyMentions
	NotifyConversations = NotifyAll
)

// MaxNotifyLevels bounds the rooms and conversations for which a user can set a level other than the default.
const MaxNotifyLevels = 10_000

// Notify sets v's level for a room that they may read.
func (s *Service) Notify(ctx context.Context, v Viewer, room string, level NotifyLevel) error {
	view, err := s.Readable(ctx, v, room)
	if err != nil {
		return err
	}
	return s.store.SetNotify(ctx, v.User, RoomTopic(view.ID), level, NotifyRooms)
}

// NotifyPrivate sets v's level for the conversation with a user.
func (s *Service) NotifyPrivate(ctx context.Context, v Viewer, username string, level NotifyLevel) error {
	with, err := s.correspondent(ctx, v, username)
	if err != nil {
		return err
	}
	return s.store.SetNotify(ctx, v.User, ConversationTopic(v.User, with.ID), level, NotifyConversations)
}
