package chat

import (
	"context"
	"errors"
)

// Changes is what became of a message after it was posted.
type Changes struct {
	Edit      *Event // the last message_edited; nil where there is none
	Reactions []Reaction
}

// history is a page of a topic's messages in their present state.
func (s *Service) history(ctx context.Context, v Viewer, topic Topic, p Page) (MessagePage, error) {
	page, err := s.store.Messages(ctx, topic, p)
	if err == nil {
		err = s.Present(ctx, v, page.Events)
	}
	return page, err
}

// Present brings messages into their present state, as history shows them to v.
func (s *Service) Present(ctx context.Context, v Viewer, messages []Event) error {
	ids := make([]int64, len(messages))
	for i := range messages {
		ids[i] = messages[i].ID
	}
	changes, err := s.store.Changes(ctx, v.User, ids)
	if err != nil {
		return err
	}
	for i, m := range messages {
		if c, changed := changes[m.ID]; changed {
			if messages[i], err = presentOf(m, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// present is Present for one.
func (s *Service) present(ctx context.Context, v Viewer, m Event) (Event, error) {
	one := []Event{m}
	err := s.Present(ctx, v, one)
	return one[0], err
}

// presentOf is a message as history shows it.
func presentOf(m Event, c Changes) (Event, error) {
	t, err := parseText(m)
	if err != nil || t.Deleted {
		return m, err
	}
	if c.Edit != nil {
		edit, err := parseText(*c.Edit)
		if err != nil {
			return m, err
		}
		if edit.Deleted { // meanwhile; m was read before
			return Scrub(m)
		}
		t.Message, t.EditedAt = edit.Message, edit.SentAt
	}
	t.Reactions = c.Reactions
	m.Body = body(t)
	return m, nil
}

// TextOf is the text that an event carries, "" where it was deleted, and the message that it is of.
func TextOf(e Event) (message int64, txt string, err error) {
	t, err := parseText(e)
	if message = t.MessageID; message == 0 {
		message = e.ID
	}
	return message, t.Message, err
}

// Within is the room or conversation that an event about a message belongs to.
func Within(e Event) Topic {
	if e.Topic.IsRoom() {
		return e.Topic
	}
	return ConversationTopic(e.Author, int64(e.Topic)>>1) // in its target's inbox
}

// checkReply returns an *Invalid where the draft replies to what is no message of the topic.
func (s *Service) checkReply(ctx context.Context, topic Topic, d Draft) error {
	if d.ReplyTo == 0 {
		return nil
	}
	_, err := s.store.Message(ctx, topic, d.ReplyTo)
	if errors.Is(err, ErrNoMessage) {
		return invalid("reply_to", "there is no message %d here", d.ReplyTo)
	}
	return err
}
