package chat

import "encoding/json"

// TypeControl is the type of events in the Control topic.
const TypeControl = "control"

// ControlEvent tells the nodes that credentials have ended (of one session, or all of a user's), that a user has
// changed, or that fewer users may follow a room. Control is data: it arrives at every node in the log's order, like
// any other event.
//
// With Room and User, that user can no longer see the room; it directly follows the member_removed. With Room alone,
// only members can still see the room: it became private.
//
// With Follower, the node that holds that follower of the log loses it, and it is free. With Push, notifications are
// due to be sent.
type ControlEvent struct {
	Session int64 `json:"session,omitempty"`
	User    int64 `json:"user,omitempty"`
	Room    int64 `json:"room,omitempty"`
	// Invisible is set if User starts (true) or stops (false) to count as absent for others.
	Invisible *bool `json:"invisible,omitempty"`
	// Kept states what is kept of a room, or of the site, from here on.
	Kept *Kept `json:"kept,omitempty"`
	// Expired lists messages that were deleted by retention.
	Expired []int64 `json:"expired,omitempty"`
	// Follower names a follower that was changed; the change applies from the lease Epoch on.
	Follower string `json:"follower,omitempty"`
	Epoch    int64  `json:"epoch,omitempty"`
	// Push tells the nodes that send notifications to look for due ones.
	Push   bool   `json:"push,omitempty"`
	Reason string `json:"reason"` // of the stream_close; empty if streams continue
}

// Kept means that retention deletes messages below Floor, unless they are pinned.
type Kept struct {
	Room  int64 `json:"room,omitempty"` // 0 for the whole site
	Floor int64 `json:"floor"`          // the first id that is kept
}

// Event returns c as an event of the log, caused by the user by.
func (c ControlEvent) Event(by int64) Event {
	return Event{Topic: Control, Type: TypeControl, Author: by, Body: body(c)}
}

// ParseControl is the reverse of ControlEvent.Event.
func ParseControl(e Event) (ControlEvent, error) {
	var c ControlEvent
	err := json.Unmarshal([]byte("{"+e.Body), &c)
	return c, err
}

// Ends reports whether c ends v's credentials.
func (c ControlEvent) Ends(v Viewer) bool {
	if c.Reason == "" {
		return false
	}
	return c.Session != 0 && c.Session == v.Session || c.User != 0 && c.User == v.User
}
