package chat

import (
	"encoding/json"
	"time"
)

// Types of events about a room itself.
const (
	TypeRoomUpdated   = "room_updated"
	TypeRoomDeleted   = "room_deleted"
	TypeMemberRemoved = "member_removed"
	TypeMemberMuted   = "member_muted"
	TypeMemberUnmuted = "member_unmuted"
)

// Membership is a room that a user is a member of.
type Membership struct {
	Room
	Since int64 // the id of the member_added that started it
}

// roomUpdated returns the event of a changed title, visibility, posting or retention, with the values of room.
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
			Receipts   bool       `json:"receipts,omitempty"`
			SlowMode   int        `json:"slow_mode,omitempty"`
			Retention  int64      `json:"retention,omitempty"`
			SentAt     string     `json:"sent_at"`
		}{room.Name, user.Name, room.Title, room.Visibility, room.Posting, room.Receipts, room.SlowMode, room.Retention, FormatTime(at)}),
	}
}

// roomDeleted returns the last event of a room.
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

// memberRemoved returns the event of user removing or banning target. If target can no longer see the room, the store
// appends ControlEvent{User, Room} directly after it.
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

// RoomName returns the name of the room that e names; empty if it names none.
func (e *Event) RoomName() string {
	var b struct {
		Room string `json:"room"`
	}
	_ = json.Unmarshal([]byte("{"+e.Body), &b) // a body that chat made
	return b.Room
}
