package chat

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Topic is what an event belongs to and a stream follows: a room, a user's inbox, or control. It is made of internal
// numbers, never of names: a new room with an old name is a different topic.
type Topic int64

// Topics without a room or user.
const (
	NoTopic Topic = 0 // the zero value
	Control Topic = 1 // for the nodes themselves; never framed to clients
)

// RoomTopic returns the topic of the room with that number.
func RoomTopic(room int64) Topic { return Topic(room << 1) }

// InboxTopic returns the topic of what concerns one user only.
func InboxTopic(user int64) Topic { return Topic(user<<1 | 1) }

// Number returns the number of t's room or user.
func (t Topic) Number() int64 { return int64(t >> 1) }

// ConversationTopic returns the topic of the conversation of a and b, who may be the same. Nobody follows it: streams
// follow the inboxes. Users are numbered from 1 on, far below 2^31.
func ConversationTopic(a, b int64) Topic { return Topic(-(min(a, b)<<31 | max(a, b))) }

// IsConversation reports whether t is a conversation.
func (t Topic) IsConversation() bool { return t < 0 }

// Between returns the two users of a conversation.
func (t Topic) Between() (a, b int64) { return int64(-t) >> 31, int64(-t) & (1<<31 - 1) }

// IsRoom reports whether t is a room's topic.
func (t Topic) IsRoom() bool { return t > Control && t&1 == 0 }

// Types of durable events.
const (
	TypeChatMessage     = "chat_message"
	TypePrivateMessage  = "private_message"
	TypeDelivered       = "private_message_delivered"
	TypeMessageEdited   = "message_edited"
	TypeMessageDeleted  = "message_deleted"
	TypeReactionAdded   = "reaction_added"
	TypeReactionRemoved = "reaction_removed"
	TypeMemberAdded     = "member_added"
	TypeCustom          = "custom_event"
)

// Event is one entry of the log. The store assigns its ID when it commits it.
type Event struct {
	ID     int64  // dense, in commit order; 0 until stored
	Topic  Topic  // where it happened
	Also   Topic  // a second topic that receives it under the same id, or NoTopic
	Type   string // one of the Type constants
	Author int64  // the number of the user who caused it
	Thread int64  // the first message of its thread, 0 for none
	Body   string // the part of its JSON after the id, as stored
}

// AppendJSON appends the event as clients see it. Nothing else in tandem assembles these parts, so the bytes are always
// the same on every transport.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, e.Type...)
	dst = append(dst, `","id":`...)
	dst = strconv.AppendInt(dst, e.ID, 10)
	dst = append(dst, ',')
	return append(dst, e.Body...)
}

// JSON returns AppendJSON's bytes in a new slice.
func (e *Event) JSON() []byte {
	return e.AppendJSON(make([]byte, 0, len(e.Body)+64))
}

// encode returns JSON with keys in the order of v's fields and without the escapes that encoding/json adds for HTML: a
// message is stored as sent.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // our own structs of strings, numbers and slices always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// appendString appends s as encode writes it. Most texts need no escapes.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return append(dst, encode(s)...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// body returns the part of a durable event's JSON after the id.
func body(v any) string { return string(encode(v)[1:]) }
