package chat

import (
	"crypto/sha256"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxMessage is the longest message, in characters.
const MaxMessage = 4000

// Draft is a message as somebody wants to post it.
type Draft struct {
	Text  string // 1 to MaxMessage characters, valid UTF-8 without U+0000; kept as sent
	Nonce string // echoed to its sender and everybody else; at most 64 characters
	Key   string // the Idempotency-Key, empty for none; at most 128 printable ASCII characters
}

func (d *Draft) check() error {
	switch {
	case d.Text == "":
		return invalid("message", "a message has at least one character")
	case !utf8.ValidString(d.Text):
		return invalid("message", "a message is valid UTF-8")
	case strings.ContainsRune(d.Text, 0):
		return invalid("message", "a message does not contain U+0000")
	case len(d.Text) > MaxMessage && utf8.RuneCountInString(d.Text) > MaxMessage:
		return ErrMessageTooBig
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
	return sum[:16]
}

// chatMessage is the event of a message.
func chatMessage(room Room, user User, d *Draft, at time.Time) Event {
	return Event{
		Topic:  RoomTopic(room.ID),
		Type:   TypeChatMessage,
		Author: user.ID,
		Body: body(struct {
			Room    string `json:"room"`
			User    string `json:"user"`
			Message string `json:"message"`
			SentAt  string `json:"sent_at"`
			Nonce   string `json:"nonce,omitempty"`
		}{room.Name, user.Name, d.Text, FormatTime(at), d.Nonce}),
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
