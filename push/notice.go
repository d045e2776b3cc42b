package push

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"tandem/chat"
)

const (
	// maxText is how many characters of a message are sent to a device.
	maxText = 200
	// MaxUnread is the highest unread count.
	MaxUnread = 100
)

// The types of a Notice, besides those of the events.
const (
	typeMention = "mention" // a message in a room that mentions the user
	typeRead    = "read"    // withdraws earlier notifications
)

// Notice is a notification about a room or conversation: docs/push.md. Its JSON is the payload.
type Notice struct {
	Type      string `json:"type"`
	Room      string `json:"room,omitempty"`
	User      string `json:"user,omitempty"`
	MessageID int64  `json:"message_id"`
	Text      string `json:"text,omitempty"`
	Unread    int    `json:"unread"`

	topic string // one per room and conversation of a user; base64url
}

// urgent reports whether it is meant for the user, and not only a room that they follow.
func (n *Notice) urgent() bool { return n.Type == typeMention || n.Type == chat.TypePrivateMessage }

// json returns the payload for services that accept one.
func (n *Notice) json() []byte {
	b, err := json.Marshal(n)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return b
}

// strings returns the fields for services that only accept strings.
func (n *Notice) strings() map[string]string {
	m := map[string]string{"type": n.Type, "message_id": strconv.FormatInt(n.MessageID, 10), "unread": strconv.Itoa(n.Unread)}
	for key, value := range map[string]string{"room": n.Room, "user": n.User, "text": n.Text} {
		if value != "" {
			m[key] = value
		}
	}
	return m
}

// beginning returns the first characters of a text.
func beginning(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := 0
	for range maxText {
		if end == len(text) {
			return text
		}
		_, n := utf8.DecodeRuneInString(text[end:])
		end += n
	}
	return text[:end]
}

// topicOf names a topic for push services, which must not learn numbers of users: RFC 8030 §5.4 allows 32 characters of
// base64url.
func (s *Service) topicOf(user int64, topic chat.Topic) string {
	sum := sha256.Sum256([]byte(s.key.private + strconv.FormatInt(user, 10) + "/" + strconv.FormatInt(int64(topic), 10)))
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}
