package chat

import "context"

// Types of pin events.
const (
	TypeMessagePinned   = "message_pinned"
	TypeMessageUnpinned = "message_unpinned"
)

// MaxPins is how many messages of a room or conversation can be pinned.
const MaxPins = 50

// Pin pins or unpins a message of a room, for moderators. It returns ErrForbidden, ErrNoMessage (also for a deleted
// message) or ErrLimitReached.
func (s *Service) Pin(ctx context.Context, v Viewer, room string, id int64, on bool) error {
	return s.inRoom(ctx, v, room, func(u User, r RoomView) error {
		if err := r.mayAct(moderator); err != nil {
			return err
		}
		return s.pin(ctx, placeIn(u, r), id, on)
	})
}

// PinPrivate is Pin in the conversation with a user, for both of them. It can also return ErrBlocked.
func (s *Service) PinPrivate(ctx context.Context, v Viewer, username string, id int64, on bool) error {
	return s.withUser(ctx, v, username, func(u User, with Correspondent) error {
		if with.Blocks {
			return ErrBlocked // they would be notified
		}
		return s.pin(ctx, placeWith(u, with.User), id, on)
	})
}

func (s *Service) pin(ctx context.Context, p place, id int64, on bool) error {
	if _, err := s.store.Message(ctx, p.topic, id); err != nil {
		return err
	}
	typ := TypeMessagePinned
	if !on {
		typ = TypeMessageUnpinned
	}
	return s.store.Pin(ctx, p.guard, p.topic, id, on, p.happened(typ, id, s.now()))
}

// Pins returns a room's pinned messages in their current state, the latest pin first.
func (s *Service) Pins(ctx context.Context, v Viewer, room string) ([]Event, error) {
	view, err := s.Readable(ctx, v, room)
	if err != nil {
		return nil, err
	}
	return s.pins(ctx, v, RoomTopic(view.ID))
}

// PrivatePins is Pins in the conversation with a user.
func (s *Service) PrivatePins(ctx context.Context, v Viewer, username string) ([]Event, error) {
	with, err := s.correspondent(ctx, v, username)
	if err != nil {
		return nil, err
	}
	return s.pins(ctx, v, ConversationTopic(v.User, with.ID))
}

func (s *Service) pins(ctx context.Context, v Viewer, topic Topic) ([]Event, error) {
	messages, err := s.store.Pins(ctx, topic)
	if err == nil {
		err = s.Present(ctx, v, messages)
	}
	return messages, err
}
