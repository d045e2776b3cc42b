package chat

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Topic is what an event belongs to and a stream follows: a room, one user's inbox, or control.
// It is made of internal numbers, never of names: a room made anew under an old name is another topic.
type Topic int64

// Topics that belong to no room and no user.
const (
	NoTopic Topic = 0 // the zero value
	Control Topic = 1 // for the nodes themselves; never framed to clients
)

// RoomTopic is the topic of the room with that number.
func RoomTopic(room int64) Topic { return Topic(room << 1) }

// InboxTopic is the topic of what concerns one user alone.
func InboxTopic(user int64) Topic { return Topic(user<<1 | 1) }

// Number is the number of t's room or user.
func (t Topic) Number() int64 { return int64(t >> 1) }

// ConversationTopic is the topic of what a and b, or one with themselves, write to each other. Nobody follows it:
// streams have the inboxes. Users are numbered from 1 on, far below 2^31.
func ConversationTopic(a, b int64) Topic { return Topic(-(min(a, b)<<31 | max(a, b))) }

// IsRoom tells whether t is a room's.
func (t Topic) IsRoom() bool { return t > Control && t&1 == 0 }

// Types of the durable events.
const (
	TypeChatMessage     = "chat_message"
	TypePrivateMessage  = "private_message"
	TypeDelivered       = "private_message_delivered"
	TypeMessageEdited   = "message_edited"
	TypeMessageDeleted  = "message_deleted"
	TypeReactionAdded   = "reaction_added"
	TypeReactionRemoved = "reaction_removed"
	TypeMemberAdded     = "member_added"
)

// Event is one entry of the log. The store gives it its ID when it commits it.
type Event struct {
	ID     int64  // dense, in commit order; 0 until stored
	Topic  Topic  // where it happened
	Also   Topic  // a second topic that it reaches under the same id, or NoTopic
	Type   string // one of the Type constants
	Author int64  // the number of the user who caused it
	Body   string // the text of its JSON that follows the id, as stored
}

// AppendJSON appends the event as clients see it. Nothing else in tandem joins these parts, so the bytes
// are the same on every transport and for ever.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, e.Type...)
	dst = append(dst, `","id":`...)
	dst = strconv.AppendInt(dst, e.ID, 10)
	dst = append(dst, ',')
	return append(dst, e.Body...)
}

// JSON is AppendJSON into a slice of its own.
func (e *Event) JSON() []byte {
	return e.AppendJSON(make([]byte, 0, len(e.Body)+64))
}

// encode is JSON with keys in the order of v's fields and without the escapes that encoding/json adds
// for HTML: a message is kept as sent.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // our own structs of strings, numbers and slices always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// body is what follows the id in the JSON of a durable event.
func body(v any) string { return string(encode(v)[1:]) }
