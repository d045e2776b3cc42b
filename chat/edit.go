package chat

import (
	"context"
	"encoding/json"
	"time"
)

// MessageChange is a change to a message; nil fields keep their value.
type MessageChange struct {
	Text *string
	Data json.RawMessage // "null" removes it
}

func (c *MessageChange) prepare() (err error) {
	if c.Text != nil {
		err = checkText(*c.Text)
	}
	if err == nil {
		c.Data, err = prepareDataChange(c.Data, MaxData)
	}
	return err
}

// EditMessage changes one of v's messages in a room and returns it in its current state.
func (s *Service) EditMessage(ctx context.Context, v Viewer, room string, id int64, c MessageChange) (Event, error) {
	var message Event
	if err := c.prepare(); err != nil {
		return message, err
	}
	var a asked
	err := s.inRoom(ctx, v, room, func(u User, r RoomView) (err error) {
		if err := r.mayPost(s.now()); err != nil {
			return err
		}
		mentions := func(txt string) (Mentions, error) { return s.mentionsIn(ctx, r, txt) }
		message, err = s.edit(ctx, placeIn(u, r), id, c, mentions, &a, s.hooksIn(&r))
		return err
	})
	if err != nil {
		return Event{}, err
	}
	return s.present(ctx, v, message)
}

// EditPrivate is EditMessage in the conversation with a user.
func (s *Service) EditPrivate(ctx context.Context, v Viewer, username string, id int64, c MessageChange) (Event, error) {
	var message Event
	if err := c.prepare(); err != nil {
		return message, err
	}
	var a asked
	err := s.withUser(ctx, v, username, func(u User, to Correspondent) (err error) {
		if err := to.mayGet(u); err != nil {
			return err
		}
		mentions := func(txt string) (Mentions, error) { return mentionsBetween(u, to.User, txt), nil }
		message, err = s.edit(ctx, placeWith(u, to.User), id, c, mentions, &a, s.hooksBetween())
		return err
	})
	if err != nil {
		return Event{}, err
	}
	return s.present(ctx, v, message)
}

// DeleteMessage erases a message's text. The author and the room's moderators can do this.
func (s *Service) DeleteMessage(ctx context.Context, v Viewer, room string, id int64) error {
	return s.inRoom(ctx, v, room, func(u User, r RoomView) error {
		if err := r.mayKnow(); err != nil {
			return err
		}
		return s.remove(ctx, placeIn(u, r), id, r.rank() >= moderator)
	})
}

// DeletePrivate is DeleteMessage in the conversation with a user. Only the author can do this, even if blocked
// meanwhile.
func (s *Service) DeletePrivate(ctx context.Context, v Viewer, username string, id int64) error {
	return s.withUser(ctx, v, username, func(u User, to Correspondent) error {
		return s.remove(ctx, placeWith(u, to.User), id, false)
	})
}

// place is where a message is, and who acts there.
type place struct {
	topic Topic
	guard Guard
	user  User
	room  string // empty in a conversation
	other User   // the other user of a conversation
}

func placeIn(u User, r RoomView) place {
	return place{topic: RoomTopic(r.ID), guard: guard(r.Room, u), user: u, room: r.Name}
}

func placeWith(u, other User) place {
	return place{topic: ConversationTopic(u.ID, other.ID), guard: guardBoth(u, other), user: u, other: other}
}

// event returns an event about a message there: in the room, or in both inboxes.
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

// happened returns an event that only names the message it is about.
func (p place) happened(typ string, message int64, at time.Time) Event {
	return p.event(typ, struct {
		Room      string `json:"room,omitempty"`
		MessageID int64  `json:"message_id"`
		User      string `json:"user"`
		Target    string `json:"target,omitempty"`
		SentAt    string `json:"sent_at"`
	}{p.room, message, p.user.Name, p.other.Name, FormatTime(at)})
}

// edit returns the message as it was posted. mentions finds the users that a new text mentions; without a new text they
// stay. The hooks are called first, and a keeps their answers.
func (s *Service) edit(ctx context.Context, p place, id int64, c MessageChange, mentions func(string) (Mentions, error), a *asked, hooks []BeforePost) (Event, error) {
	message, err := s.store.Message(ctx, p.topic, id)
	if err != nil {
		return Event{}, err
	}
	if message.Author != p.user.ID {
		return Event{}, ErrNotYours
	}
	posted, err := parseText(message)
	if err != nil {
		return Event{}, err
	}
	var found Mentions
	if c.Text != nil {
		if found, err = mentions(*c.Text); err != nil {
			return Event{}, err
		}
	}
	if len(hooks) > 0 {
		edited, err := s.edited(ctx, p, message, c, found)
		if err == nil {
			err = s.ask(ctx, a, hooks, edited)
		}
		if err != nil {
			return Event{}, err
		}
	}
	err = s.store.Edit(ctx, p.guard, p.topic, id, func(last *Event) (Edit, error) {
		now := posted
		if last != nil {
			if now, err = parseText(*last); err != nil {
				return Edit{}, err
			}
		}
		now.change(c, found)
		if len(hooks) > 0 {
			now.Marks = a.verdict.Marks
		}
		if showsNothing(now.Message) {
			if now.Data == nil && len(posted.Files) == 0 {
				return Edit{}, ErrMessageEmpty
			}
			now.Message = ""
		}
		e := p.event(TypeMessageEdited, text{
			Room: p.room, MessageID: id, User: p.user.Name, Target: p.other.Name, Message: now.Message, Data: now.Data,
			Mentions: now.Mentions, MentionsAll: now.MentionsAll, Marks: now.Marks, SentAt: FormatTime(s.now()),
		})
		return Edit{Event: e, TextChanged: c.Text != nil, Mentions: found.users, Report: a.verdict.Report}, nil
	})
	if err == nil {
		topic := p.topic
		if topic.IsConversation() {
			topic = NoTopic
		}
		s.notifyReport(ctx, a, topic, p.room)
	}
	return message, err
}

// change applies the edit to t.
func (t *text) change(c MessageChange, found Mentions) {
	if c.Text != nil {
		t.Message, t.Mentions, t.MentionsAll = *c.Text, found.Names, found.All
	}
	t.Data = changeData(t.Data, c.Data)
}

// edited returns the message as it will be, for the hooks.
func (s *Service) edited(ctx context.Context, p place, message Event, c MessageChange, found Mentions) (text, error) {
	changes, err := s.store.Changes(ctx, p.user.ID, []int64{message.ID})
	if err != nil {
		return text{}, err
	}
	if message, err = presentOf(message, Changes{Edit: changes[message.ID].Edit}); err != nil {
		return text{}, err
	}
	t, err := parseText(message)
	if err == nil && t.Deleted {
		err = ErrNoMessage
	}
	t.change(c, found)
	t.MessageID, t.Marks, t.Nonce, t.EditedAt = message.ID, nil, "", ""
	return t, err
}

func (s *Service) remove(ctx context.Context, p place, id int64, anybodys bool) error {
	message, err := s.store.Message(ctx, p.topic, id)
	if err != nil {
		return err
	}
	if message.Author != p.user.ID && !anybodys {
		return ErrNotYours
	}
	if message.Author == p.user.ID {
		noDeed(ctx)
	}
	return s.store.Delete(ctx, p.guard, p.topic, id, p.happened(TypeMessageDeleted, id, s.now()))
}
