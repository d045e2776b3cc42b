package chat

import (
	"strings"
	"time"
)

// SentAt returns the time that the event's JSON states, or the zero time if it states none.
func (e *Event) SentAt() time.Time { return SentAt(e.Body) }

// SentAt is Event.SentAt for an event's JSON, or for the part of it after the id.
func SentAt(json string) time.Time {
	// Take the last one: data of the app, which comes before it, may contain others.
	const key = `"sent_at":"`
	i := strings.LastIndex(json, key)
	if i < 0 {
		return time.Time{}
	}
	text, _, _ := strings.Cut(json[i+len(key):], `"`)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// Subject returns the message that e is or edits; 0 for any other event.
func (e *Event) Subject() int64 {
	switch e.Type {
	case TypeChatMessage, TypePrivateMessage:
		return e.ID
	case TypeMessageEdited:
		message, _, err := TextOf(*e)
		if err == nil {
			return message
		}
	}
	return 0
}
