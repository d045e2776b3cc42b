package chat

import "encoding/json"

// TypeControl is the type of events in the Control topic.
const TypeControl = "control"

// ControlEvent tells the nodes that credentials have ended, one session's or all of a user's, that the user has
// changed, or that a room may be followed by fewer. Control is data: it comes in the log's order, to every node, like
// any other event.
//
// With Room and User, that user may no longer see the room: it comes directly behind the member_removed. With Room
// alone, whoever is no member may no longer see it: it was made private.
type ControlEvent struct {
	Session int64  `json:"session,omitempty"`
	User    int64  `json:"user,omitempty"`
	Room    int64  `json:"room,omitempty"`
	Reason  string `json:"reason"` // of the stream_close, or empty where streams go on
}

// Event is c as an event of the log; by is who did it.
func (c ControlEvent) Event(by int64) Event {
	return Event{Topic: Control, Type: TypeControl, Author: by, Body: body(c)}
}

// ParseControl is the reverse of ControlEvent.Event.
func ParseControl(e Event) (ControlEvent, error) {
	var c ControlEvent
	err := json.Unmarshal([]byte("{"+e.Body), &c)
	return c, err
}

// Ends tells whether v's credentials have ended with c.
func (c ControlEvent) Ends(v Viewer) bool {
	if c.Reason == "" {
		return false
	}
	return c.Session != 0 && c.Session == v.Session || c.User != 0 && c.User == v.User
}
