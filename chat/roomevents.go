package chat

import (
	"encoding/json"
	"time"
)

// Types of the events of a room itself.
const (
	TypeRoomUpdated   = "room_updated"
	TypeRoomDeleted   = "room_deleted"
	TypeMemberRemoved = "member_removed"
)

// Membership is a room of which somebody is a member.
type Membership struct {
	Room
	Since int64 // the id of the member_added that began it
}

// roomUpdated is the event of a room's title, visibility or posting having changed to what room says.
func roomUpdated(room Room, user User, at time.Time) Event {
	return Event{
		Topic:  RoomTopic(room.ID),
		Type:   TypeRoomUpdated,
		Author: user.ID,
		Body: body(struct {
			Room       string     `json:"room"`
			User       string     `json:"user"`
			Title      string     `json:"title"`
			Visibility Visibility `json:"visibility"`
			Posting    Posting    `json:"posting"`
			SentAt     string     `json:"sent_at"`
		}{room.Name, user.Name, room.Title, room.Visibility, room.Posting, FormatTime(at)}),
	}
}

// roomDeleted is the last event of a room.
func roomDeleted(room Room, user User, at time.Time) Event {
	return Event{
		Topic:  RoomTopic(room.ID),
		Type:   TypeRoomDeleted,
		Author: user.ID,
		Body: body(struct {
			Room   string `json:"room"`
			User   string `json:"user"`
			SentAt string `json:"sent_at"`
		}{room.Name, user.Name, FormatTime(at)}),
	}
}

// memberRemoved is the event of target's being no member any more, or banned, by user's doing. Where target may no
// longer see the room, the store appends ControlEvent{User, Room} directly behind it.
func memberRemoved(room Room, user, target User, at time.Time) Event {
	return Event{
		Topic:  RoomTopic(room.ID),
		Also:   InboxTopic(target.ID),
		Type:   TypeMemberRemoved,
		Author: user.ID,
		Body: body(struct {
			Room   string `json:"room"`
			User   string `json:"user"`
			Target string `json:"target"`
			SentAt string `json:"sent_at"`
		}{room.Name, user.Name, target.Name, FormatTime(at)}),
	}
}

// RoomName is the name of the room that e says it happened in; empty where it says none.
func (e *Event) RoomName() string {
	var b struct {
		Room string `json:"room"`
	}
	_ = json.Unmarshal([]byte("{"+e.Body), &b) // a body that chat made
	return b.Room
}
