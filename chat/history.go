package chat

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
)

// Changes is what happened to a message after it was posted.
type Changes struct {
	Edit      *Event // the last message_edited; nil if there is none
	Reactions []Reaction
	Thread    *ThreadState // for a message that starts a thread; else nil
}

// ThreadState summarizes a thread.
type ThreadState struct {
	Count  int      `json:"count"` // of messages that are not deleted
	LastID int64    `json:"last_id"`
	Users  []string `json:"users"` // the authors, the latest first; at most MaxThreadUsers
}

// MaxThreadUsers is how many authors a thread's state names.
const MaxThreadUsers = 5

// history returns a page of a topic's messages in their current state.
func (s *Service) history(ctx context.Context, v Viewer, topic Topic, p Page) (MessagePage, error) {
	if p.Thread != 0 {
		if p.Query != nil {
			return MessagePage{}, invalid("thread", "a search cannot be limited to a thread")
		}
		if _, err := s.root(ctx, topic, p.Thread); err != nil {
			return MessagePage{}, err
		}
	}
	page, err := s.store.Messages(ctx, topic, p)
	if err == nil {
		err = s.Present(ctx, v, page.Events)
	}
	return page, err
}

// Present brings messages into their current state, as history shows them to v.
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

// presentOf returns a message as history shows it.
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
		if edit.Deleted { // deleted since m was read
			return Scrub(m)
		}
		t.Message, t.Data, t.Mentions, t.MentionsAll, t.Marks, t.EditedAt = edit.Message, edit.Data, edit.Mentions, edit.MentionsAll, edit.Marks, edit.SentAt
	}
	if c.Thread != nil {
		t.Thread = encode(c.Thread)
	}
	t.Reactions = c.Reactions
	m.Body = body(t)
	return m, nil
}

// TextOf returns the text that an event carries, "" if it was deleted, and the message it belongs to.
func TextOf(e Event) (message int64, txt string, err error) {
	var t struct {
		MessageID int64  `json:"message_id"`
		Message   string `json:"message"`
	}
	err = json.Unmarshal([]byte("{"+upToText(e.Body)), &t)
	if message = t.MessageID; message == 0 {
		message = e.ID
	}
	return message, t.Message, err
}

// TextAndMentions returns the text of an event that carries one, and whom it mentions.
func TextAndMentions(e Event) (txt string, mentions []string, err error) {
	t, err := parseText(e)
	return t.Message, t.Mentions, err
}

// UserOf returns the name under which a message was posted: a user's, or an inlet's.
func UserOf(e Event) (string, error) {
	t, err := parseText(e)
	return t.User, err
}

// upToText returns the beginning of an event's body up to its text, as a complete object: what follows may be long and
// is not needed. The keys before it have names and numbers as values, in which nothing is escaped.
func upToText(body string) string {
	const key = `"message":"`
	start := strings.Index(body, key)
	if start < 0 {
		return body
	}
	for i := start + len(key); i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return body[:i+1] + "}"
		}
	}
	return body
}

// Within returns the room or conversation of an event about a message.
func Within(e Event) Topic {
	if e.Topic.IsRoom() {
		return e.Topic
	}
	return ConversationTopic(e.Author, int64(e.Topic)>>1) // in its target's inbox
}

// checkPlace returns an *Invalid if the draft replies to something that is not a message of the topic, or if its thread
// is invalid.
func (s *Service) checkPlace(ctx context.Context, topic Topic, d *Draft) error {
	if d.ReplyTo != 0 {
		_, err := s.store.Message(ctx, topic, d.ReplyTo)
		if errors.Is(err, ErrNoMessage) {
			return invalid("reply_to", "there is no message %d here", d.ReplyTo)
		}
		if err != nil {
			return err
		}
	}
	if d.Thread == 0 {
		return nil
	}
	root, err := s.root(ctx, topic, d.Thread)
	if errors.Is(err, ErrNoMessage) {
		return invalid("thread", "there is no message %d here", d.Thread)
	}
	if err != nil {
		return err
	}
	t, err := parseText(root)
	if err == nil && t.Deleted {
		return invalid("thread", "the message %d is deleted", d.Thread)
	}
	return err
}

// root returns a message that can start a thread. It returns ErrNoMessage if it is not a message of the topic, and an
// *Invalid if it is in a thread itself.
func (s *Service) root(ctx context.Context, topic Topic, id int64) (Event, error) {
	root, err := s.store.Message(ctx, topic, id)
	if err == nil && root.Thread != 0 {
		err = invalid("thread", "the message %d is itself in a thread", id)
	}
	return root, err
}
