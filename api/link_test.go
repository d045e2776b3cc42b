package api

import (
	"errors"
	"testing"
	"time"

	"tandem/chat"
)

// A link is valid for its time, file and user, and only with its nodes' key.
func TestLinksEnd(t *testing.T) {
	s := &Server{Config: Config{Files: Files{LinkKey: []byte("one key")}}}
	other := &Server{Config: Config{Files: Files{LinkKey: []byte("another key")}}}
	v := chat.Viewer{User: 1, Session: 2}
	for name, link := range map[string]string{
		"over":               s.link("a", v, time.Now().Add(-time.Second)),
		"of another file":    s.link("b", v, time.Now().Add(time.Minute)),
		"under another key":  other.link("a", v, time.Now().Add(time.Minute)),
		"without a MAC":      s.link("a", v, time.Now().Add(time.Minute))[:32],
		"nothing":            "",
		"no base64url":       "!!!",
		"longer than itself": s.link("a", v, time.Now().Add(time.Minute)) + "AAAA",
	} {
		if _, err := s.linked(t.Context(), "a", link); !errors.Is(err, errBadLink) {
			t.Errorf("a link that is %s: got %v, want errBadLink", name, err)
		}
	}
	if a, b := s.link("a", v, time.Now().Add(time.Minute)), s.link("a", chat.Viewer{User: 3, Session: 2}, time.Now().Add(time.Minute)); a == b {
		t.Error("two users share a link")
	}
}
