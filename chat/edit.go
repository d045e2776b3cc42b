package chat

import "context"

// EditMessage gives a message of v's in a room another text and returns it in its present state.
func (s *Service) EditMessage(ctx context.Context, v Viewer, room string, id int64, txt string) (Event, error) {
	var message Event
	if err := checkText(txt); err != nil {
		return message, err
	}
	err := s.inRoom(ctx, v, room, func(u User, r RoomView) (err error) {
		if err := r.mayPost(); err != nil {
			return err
		}
		message, err = s.edit(ctx, placeIn(u, r), id, txt)
		return err
	})
	if err != nil {
		return Event{}, err
	}
	return s.present(ctx, v, message)
}

// EditPrivate is EditMessage in the conversation with a user.
func (s *Service) EditPrivate(ctx context.Context, v Viewer, username string, id int64, txt string) (Event, error) {
	var message Event
	if err := checkText(txt); err != nil {
		return message, err
	}
	err := s.withUser(ctx, v, username, func(u User, to Correspondent) (err error) {
		if err := to.mayGet(u); err != nil {
			return err
		}
		message, err = s.edit(ctx, placeWith(u, to.User), id, txt)
		return err
	})
	if err != nil {
		return Event{}, err
	}
	return s.present(ctx, v, message)
}

// DeleteMessage takes a message's text away for ever. Its author does, and who moderates the room.
func (s *Service) DeleteMessage(ctx context.Context, v Viewer, room string, id int64) error {
	return s.inRoom(ctx, v, room, func(u User, r RoomView) error {
		if err := r.mayKnow(); err != nil {
			return err
		}
		return s.remove(ctx, placeIn(u, r), id, r.rank() >= moderator)
	})
}

// DeletePrivate is DeleteMessage in the conversation with a user, for its author, who may be blocked by now.
func (s *Service) DeletePrivate(ctx context.Context, v Viewer, username string, id int64) error {
	return s.withUser(ctx, v, username, func(u User, to Correspondent) error {
		return s.remove(ctx, placeWith(u, to.User), id, false)
	})
}

// place is where a message is and who acts there.
type place struct {
	topic Topic
	guard Guard
	user  User
	room  string // empty in a conversation
	other User   // whom a conversation is with
}

func placeIn(u User, r RoomView) place {
	return place{topic: RoomTopic(r.ID), guard: guard(r.Room, u), user: u, room: r.Name}
}

func placeWith(u, other User) place {
	return place{topic: ConversationTopic(u.ID, other.ID), guard: guardBoth(u, other), user: u, other: other}
}

// event is one about a message there: in the room, or in both inboxes.
func (p place) event(typ string, b any) Event {
	e := Event{Topic: p.topic, Type: typ, Author: p.user.ID, Body: body(b)}
	if !p.topic.IsRoom() {
		e.Topic = InboxTopic(p.other.ID)
		if p.other.ID != p.user.ID {
			e.Also = InboxTopic(p.user.ID)
		}
	}
	return e
}

// edit returns the message as it was posted.
func (s *Service) edit(ctx context.Context, p place, id int64, txt string) (Event, error) {
	message, err := s.store.Message(ctx, p.topic, id)
	if err != nil {
		return Event{}, err
	}
	if message.Author != p.user.ID {
		return Event{}, ErrNotYours
	}
	return message, s.store.Edit(ctx, p.guard, p.topic, id, p.event(TypeMessageEdited, text{
		Room: p.room, MessageID: id, User: p.user.Name, Target: p.other.Name, Message: txt, SentAt: FormatTime(s.now()),
	}))
}

func (s *Service) remove(ctx context.Context, p place, id int64, anybodys bool) error {
	message, err := s.store.Message(ctx, p.topic, id)
	if err != nil {
		return err
	}
	if message.Author != p.user.ID && !anybodys {
		return ErrNotYours
	}
	return s.store.Delete(ctx, p.guard, p.topic, id, p.event(TypeMessageDeleted, struct {
		Room      string `json:"room,omitempty"`
		MessageID int64  `json:"message_id"`
		User      string `json:"user"`
		Target    string `json:"target,omitempty"`
		SentAt    string `json:"sent_at"`
	}{p.room, id, p.user.Name, p.other.Name, FormatTime(s.now())}))
}
