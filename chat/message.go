package chat

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxMessage is the longest message, in characters.
const MaxMessage = 4000

// Draft is a message as somebody wants to post it.
type Draft struct {
	Text  string // 1 to MaxMessage characters, of which one shows, valid UTF-8 without U+0000; kept as sent
	Nonce string // echoed to its sender and everybody else; at most 64 characters
	Key   string // the Idempotency-Key, empty for none; at most 128 printable ASCII characters

	ReplyTo int64 // the id of a message in the same room or conversation; 0 for none
}

func checkText(s string) error {
	switch {
	case !utf8.ValidString(s):
		return invalid("message", "a message is valid UTF-8")
	case strings.ContainsRune(s, 0):
		return invalid("message", "a message does not contain U+0000")
	case len(s) > MaxMessage && utf8.RuneCountInString(s) > MaxMessage:
		return ErrMessageTooBig
	case showsNothing(s):
		return ErrMessageEmpty
	}
	return nil
}

func (d *Draft) check() error {
	if err := checkText(d.Text); err != nil {
		return err
	}
	switch {
	case !utf8.ValidString(d.Nonce) || len(d.Nonce) > 64 && utf8.RuneCountInString(d.Nonce) > 64:
		return invalid("nonce", "a nonce has at most 64 characters")
	case len(d.Key) > 128:
		return invalid("Idempotency-Key", "an idempotency key has 1 to 128 printable ASCII characters")
	}
	for i := range len(d.Key) {
		if d.Key[i] < ' ' || d.Key[i] > '~' {
			return invalid("Idempotency-Key", "an idempotency key has 1 to 128 printable ASCII characters")
		}
	}
	return nil
}

// fingerprint tells one body from another under the same idempotency key.
func (d *Draft) fingerprint() []byte {
	// No field contains U+0000 but a nonce; it comes last.
	sum := sha256.Sum256([]byte(d.Text + "\x00" + d.Nonce))
	if d.ReplyTo != 0 {
		sum = sha256.Sum256(binary.BigEndian.AppendUint64(sum[:], uint64(d.ReplyTo)))
	}
	return sum[:16]
}

// key is what the store keeps of the draft's Idempotency-Key, nil without one.
func (d *Draft) key() *Key {
	if d.Key == "" {
		return nil
	}
	return &Key{Name: d.Key, Fingerprint: d.fingerprint()}
}

// text is the body of every event that carries a message's text, and of a message in history. Its fields are in the
// order of the wire.
type text struct {
	Room      string `json:"room,omitempty"`
	MessageID int64  `json:"message_id,omitempty"`
	User      string `json:"user"`
	Target    string `json:"target,omitempty"`
	Message   string `json:"message"`
	SentAt    string `json:"sent_at"`
	Nonce     string `json:"nonce,omitempty"`
	ReplyTo   int64  `json:"reply_to,omitempty"`

	EditedAt  string     `json:"edited_at,omitempty"`
	Deleted   bool       `json:"deleted,omitempty"`
	Reactions []Reaction `json:"reactions,omitempty"`
}

func parseText(e Event) (t text, err error) {
	err = json.Unmarshal([]byte("{"+e.Body), &t)
	return t, err
}

// Scrub takes out of an event what its author wrote, the text and the nonce: its message was deleted.
func Scrub(e Event) (Event, error) {
	t, err := parseText(e)
	t.Message, t.Nonce, t.Deleted = "", "", true
	e.Body = body(t)
	return e, err
}

// ScrubJSON is Scrub for the finished JSON of an event, where that has the text of this message.
func ScrubJSON(typ string, id int64, json []byte, message int64) ([]byte, bool) {
	switch typ {
	case TypeChatMessage, TypePrivateMessage:
		if id != message {
			return nil, false
		}
	case TypeDelivered, TypeMessageEdited:
	default:
		return nil, false
	}
	e := Event{ID: id, Type: typ}
	e.Body = string(json[len(e.JSON()):]) // without a body it is what comes before one
	if id != message {
		if t, err := parseText(e); err != nil || t.MessageID != message {
			return nil, false
		}
	}
	scrubbed, err := Scrub(e)
	return scrubbed.JSON(), err == nil
}

// DeletedMessage is the message that a message_deleted is about.
func DeletedMessage(e Event) (int64, error) {
	t, err := parseText(e)
	return t.MessageID, err
}

// chatMessage is the event of a message.
func chatMessage(room Room, user User, d *Draft, at time.Time) Event {
	return Event{
		Topic:  RoomTopic(room.ID),
		Type:   TypeChatMessage,
		Author: user.ID,
		Body:   body(text{Room: room.Name, User: user.Name, Message: d.Text, SentAt: FormatTime(at), Nonce: d.Nonce, ReplyTo: d.ReplyTo}),
	}
}

// privateMessage is the event of a private message in its target's inbox.
func privateMessage(user, target User, d *Draft, at time.Time) Event {
	return Event{
		Topic:  InboxTopic(target.ID),
		Also:   ConversationTopic(user.ID, target.ID),
		Type:   TypePrivateMessage,
		Author: user.ID,
		Body:   body(text{User: user.Name, Target: target.Name, Message: d.Text, SentAt: FormatTime(at), Nonce: d.Nonce, ReplyTo: d.ReplyTo}),
	}
}

// delivered is the event in a private message's sender's inbox. It has the id behind the message's own.
func delivered(user, target User, d *Draft, at time.Time, message int64) Event {
	return Event{
		Topic:  InboxTopic(user.ID),
		Type:   TypeDelivered,
		Author: user.ID,
		Body: body(text{MessageID: message, User: user.Name, Target: target.Name, Message: d.Text, SentAt: FormatTime(at),
			Nonce: d.Nonce, ReplyTo: d.ReplyTo}),
	}
}

// memberAdded is the event of target's becoming a member, by user's doing, or getting another role.
func memberAdded(room Room, user, target User, role Role, at time.Time) Event {
	return Event{
		Topic:  RoomTopic(room.ID),
		Also:   InboxTopic(target.ID),
		Type:   TypeMemberAdded,
		Author: user.ID,
		Body: body(struct {
			Room   string `json:"room"`
			User   string `json:"user"`
			Target string `json:"target"`
			Role   Role   `json:"role"`
			SentAt string `json:"sent_at"`
		}{room.Name, user.Name, target.Name, role, FormatTime(at)}),
	}
}

// FormatTime is how times look on the wire: RFC 3339, UTC, milliseconds.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
