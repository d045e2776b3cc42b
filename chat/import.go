package chat

import (
	"context"
	"strings"
	"time"
)

// Imported is a message from another site. The rules of posting do not apply to it, since it was posted there.
type Imported struct {
	Key    string // identifies it within its source
	Room   Room   // the room it was posted in, or
	To     User   // the recipient
	Author User   // without an id if Via is set
	Via    string
	Text   string
	At     time.Time

	Edited  time.Time // zero if it was not edited
	Deleted bool
	Thread  string // the key of its thread's root
	ReplyTo string
	Draft   Draft // its data, nonce and marks
	Marks   []string

	Files     []StoredFile // their bytes are stored here
	Reactions []ImportedReaction
}

// ImportedReaction is one user's reaction.
type ImportedReaction struct {
	User  User
	Emoji string
}

// ImportedMessage is what the store needs of an Imported.
type ImportedMessage struct {
	Key, Thread, ReplyTo string // "" if there is none
	Topic                Topic  // the room or the conversation
	Files                []StoredFile
	// Make returns the message with that thread and in reply to that message, by their ids; 0 for none.
	Make func(thread, replyTo int64) Message
	// Delivered is the event in the sender's inbox; nil for none.
	Delivered func(message int64) Event
	// After are the events for what became of it.
	After func(message int64) ImportedChanges
}

// ImportedChanges are the events for what became of a message.
type ImportedChanges struct {
	Edited    *Event
	Deleted   *Event
	Reactions []ImportedReactionEvent
}

// ImportedReactionEvent is a reaction_added.
type ImportedReactionEvent struct {
	Event
	Emoji string
}

// ImportResult is the outcome for an imported message.
type ImportResult struct {
	New      bool // it is new here
	NoThread bool // its thread's root is not here, so it is in the main line
}

// ImportStore is what Import needs of the store.
type ImportStore interface {
	// Import stores those messages that are not here yet, all in one transaction, and marks them as read by everybody.
	Import(ctx context.Context, source string, messages []ImportedMessage) ([]ImportResult, error)
}

// PrepareImported converts a message to the form in which it is stored here, and reports what cannot be kept; the rest
// is posted without that. It returns ErrMessageEmpty if nothing is left, and ErrMessageTooBig if the message is too
// long.
func PrepareImported(m *Imported) (without []string, err error) {
	m.Text = strings.ReplaceAll(strings.ToValidUTF8(m.Text, "\ufffd"), "\x00", "")
	if m.Deleted {
		m.Text, m.Draft, m.Marks, m.Files, m.Reactions = "", Draft{}, nil, nil, nil
		return nil, nil
	}
	if len(m.Files) > MaxFiles {
		m.Files = m.Files[:MaxFiles]
		without = append(without, "files beyond the tenth of a message")
	}
	d := &m.Draft
	d.Text, d.Files, d.attached = m.Text, nil, nil
	for _, f := range m.Files {
		d.Files, d.attached = append(d.Files, f.ID), append(d.attached, f.File)
	}
	if _, err := prepareData("data", d.Data, MaxData); err != nil {
		d.Data = nil
		without = append(without, "data of messages that are too large")
	}
	if err := d.prepare(); err != nil {
		return without, err
	}
	d.marks = m.Marks
	if m.Room.ID == 0 && len(m.Reactions) > 0 {
		m.Reactions = nil
		without = append(without, "reactions to private messages")
	}
	seen, kinds := map[string]bool{}, map[string]bool{}
	kept := m.Reactions[:0]
	for _, r := range m.Reactions {
		emoji, err := prepareEmoji(r.Emoji)
		switch {
		case err != nil || !kinds[emoji] && len(kinds) == MaxReactions:
			without = append(without, "reactions that are no emoji, or beyond the twentieth kind")
			continue
		case seen[emoji+r.User.Name]:
			continue
		}
		seen[emoji+r.User.Name], kinds[emoji] = true, true
		kept = append(kept, ImportedReaction{r.User, emoji})
	}
	m.Reactions = kept
	return without, nil
}

// Import stores prepared messages that are not here yet, in one transaction.
func (s *Service) Import(ctx context.Context, to ImportStore, source string, messages []Imported) ([]ImportResult, error) {
	all := make([]ImportedMessage, 0, len(messages))
	for i := range messages {
		kept, err := s.imported(ctx, &messages[i])
		if err != nil {
			return nil, err
		}
		all = append(all, kept)
	}
	return to.Import(ctx, source, all)
}

func (s *Service) imported(ctx context.Context, m *Imported) (ImportedMessage, error) {
	kept := ImportedMessage{Key: m.Key, Thread: m.Thread, ReplyTo: m.ReplyTo, Files: m.Files}
	var mentions Mentions
	var err error
	place := placeWith(m.Author, m.To)
	if m.Room.ID != 0 {
		place = placeIn(m.Author, RoomView{Room: m.Room})
		if m.Via == "" {
			mentions, err = s.mentionsIn(ctx, RoomView{Room: m.Room}, m.Draft.Text)
		}
	} else {
		mentions = mentionsBetween(m.Author, m.To, m.Draft.Text)
	}
	if err != nil {
		return kept, err
	}
	kept.Topic = place.topic
	kept.Make = func(thread, replyTo int64) Message {
		m.Draft.Thread, m.Draft.ReplyTo = thread, replyTo
		made := privateMessage(m.Author, m.To, &m.Draft, mentions, m.At)
		if m.Room.ID != 0 {
			made = chatMessage(m.Room, m.Author, &m.Draft, mentions, m.At)
		}
		if m.Via != "" || m.Deleted {
			t := m.Draft.text(m.Author, mentions, m.At)
			t.Room, t.Target, t.Via, t.Deleted = m.Room.Name, m.To.Name, m.Via, m.Deleted
			made.Body = body(t)
		}
		return made
	}
	if m.Room.ID == 0 && m.Author.ID != m.To.ID {
		kept.Delivered = func(message int64) Event {
			e := delivered(m.Author, m.To, &m.Draft, mentions, m.At, message)
			if m.Deleted {
				e, _ = Scrub(e) // its body was just created
			}
			return e
		}
	}
	kept.After = func(message int64) (c ImportedChanges) {
		if m.Deleted {
			e := place.happened(TypeMessageDeleted, message, m.At)
			c.Deleted = &e
			return c
		}
		if !m.Edited.IsZero() {
			t := m.Draft.text(m.Author, mentions, m.Edited)
			e := place.event(TypeMessageEdited, text{
				Room: place.room, MessageID: message, User: m.Author.Name, Target: place.other.Name, Message: t.Message, Data: t.Data,
				Mentions: t.Mentions, MentionsAll: t.MentionsAll, Marks: t.Marks, SentAt: t.SentAt,
			})
			c.Edited = &e
		}
		for _, r := range m.Reactions {
			e := placeIn(r.User, RoomView{Room: m.Room}).event(TypeReactionAdded, struct {
				Room      string `json:"room"`
				MessageID int64  `json:"message_id"`
				User      string `json:"user"`
				Emoji     string `json:"emoji"`
				SentAt    string `json:"sent_at"`
			}{m.Room.Name, message, r.User.Name, r.Emoji, FormatTime(m.At)})
			c.Reactions = append(c.Reactions, ImportedReactionEvent{e, r.Emoji})
		}
		return c
	}
	return kept, nil
}

// ImportedMember returns the event for a user's joining an imported room.
func ImportedMember(r Room, by, user User, role Role, at time.Time) Event {
	return memberAdded(r, by, user, role, at)
}

// ImportedPin returns the event for pinning a message in a place.
func ImportedPin(r Room, by, other User, message int64, at time.Time) Event {
	p := placeWith(by, other)
	if r.ID != 0 {
		p = placeIn(by, RoomView{Room: r})
	}
	return p.happened(TypeMessagePinned, message, at)
}
