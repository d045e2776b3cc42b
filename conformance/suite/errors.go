package suite

import (
	"fmt"
	"net/url"
	"strings"
)

// refusals are stream requests that get a problem, the same on every transport.
func refusals(t *T) {
	ada := t.User()
	room := t.Room(ada)
	t.Refused(ada, rooms(t.Name())).Problem(404, "room_not_found", "")
	t.Refused(ada, rooms(room, t.Name())).Problem(404, "room_not_found", "")
	t.Refused(ada.With(""), rooms(room)).Problem(401, "", "")
	t.Refused(ada.With("no.token.atall"), rooms(room)).Problem(401, "invalid_token", "")
	t.Refused(ada.With(ada.token[:len(ada.token)-3]+"AAA"), rooms(room)).Problem(401, "invalid_token", "")
	t.Refused(ada.With(""), "ticket=nothing").Problem(401, "", "")
	t.Refused(ada.With(""), "access_token="+ada.token).Problem(400, "token_in_url", "")
	for _, name := range []string{"since", "last_event_id", "lastEventId"} {
		for _, bad := range []string{"x", "-1", "1.", "1.2.3", "9007199254740993000"} {
			t.Refused(ada, rooms(room)+"&"+name+"="+bad).Problem(400, "", name)
		}
	}
	t.Refused(ada, "history=101").Problem(400, "", "history")
	t.Refused(ada, "format=xml").Problem(400, "", "format")
	s := t.Open(ada, rooms(room))
	s.Opening() // none of this did any harm
	s.Message(ada.Post(room, "hi"))
}

// tickets checks that a ticket opens one stream, once.
func tickets(t *T) {
	ada := t.User()
	room := t.Room(ada)
	var made struct {
		Ticket    string
		ExpiresIn int `json:"expires_in"`
	}
	ada.Do("POST", "/v1/auth/ticket", nil).Want(201).Into(&made)
	nobody := ada.With("")
	if t.Over.Wire == Poll { // each poll needs one; there is none for the rest of the stream
		s := t.Open(nobody, rooms(room)+"&wait=0&ticket="+made.Ticket)
		if e := s.Opening(); e.User != ada.Name {
			t.Errorf("stream_open = %s", e.Raw)
		}
	} else {
		s := t.Open(nobody, rooms(room)+"&ticket="+made.Ticket)
		if e := s.Opening(); e.User != ada.Name || made.ExpiresIn != 30 {
			t.Errorf("ticket for %d s: stream_open = %s", made.ExpiresIn, e.Raw)
		}
		s.Message(ada.Post(room, "hi"))
	}
	t.Refused(nobody, rooms(room)+"&ticket="+made.Ticket).Problem(401, "", "")
}

// badCalls are REST calls that get a problem and change nothing.
func badCalls(t *T) {
	ada := t.User()
	room := t.Room(ada)
	post := ada.Post(room, "the only one")
	path := roomPath(room, "messages")
	t.Do("GET", "/v1/me", nil).Problem(401, "", "")
	t.do("no.token.atall", "GET", "/v1/me", nil).Problem(401, "invalid_token", "")
	ada.Do("GET", "/v1/me?access_token="+ada.token, nil).Problem(400, "token_in_url", "")
	ada.Do("GET", roomPath(t.Name()), nil).Problem(404, "room_not_found", "")
	ada.Do("POST", roomPath(t.Name(), "messages"), map[string]string{"message": "hi"}).Problem(404, "room_not_found", "")
	ada.Do("POST", path, map[string]string{"message": ""}).Problem(400, "message_empty", "message")
	ada.Do("POST", path, map[string]string{"message": strings.Repeat("é", 4001)}).Problem(400, "message_too_long", "message")
	ada.Do("POST", path, Raw(strings.Repeat("x", 4001)), "Content-Type: text/plain").Problem(400, "message_too_long", "")
	ada.Do("POST", path, Raw("\xff\xfe"), "Content-Type: text/plain").Problem(400, "", "")
	ada.Do("POST", path, map[string]string{"message": "a\x00b"}).Problem(400, "", "message")
	ada.Do("POST", path, map[string]int{"message": 7}).Problem(400, "", "message")
	ada.Do("POST", path, map[string]string{}).Problem(400, "", "message")
	ada.Do("POST", path, map[string]string{"message": "hi", "nonce": strings.Repeat("n", 65)}).Problem(400, "", "nonce")
	ada.Do("POST", path, Raw(`{"message":`), "Content-Type: application/json").Problem(400, "", "")
	ada.Do("POST", path, Raw(`["message"]`), "Content-Type: application/json").Problem(400, "", "")
	ada.Do("POST", path, Raw(strings.Repeat("x", 64<<10+1)), "Content-Type: text/plain").Problem(413, "", "")
	ada.Do("POST", path, Raw(`{"message":"`+strings.Repeat("x", 64<<10)+`"}`), "Content-Type: application/json").Problem(413, "", "")
	ada.Do("POST", path, map[string]string{"message": "hi"}, "Idempotency-Key: "+strings.Repeat("k", 129)).Problem(400, "", "Idempotency-Key")
	ada.Do("GET", path+"?limit=101", nil).Problem(400, "", "limit")
	ada.Do("GET", path+"?limit=0", nil).Problem(400, "", "limit")
	ada.Do("GET", path+"?before=x", nil).Problem(400, "", "before")
	ada.Do("GET", fmt.Sprintf("%s?before=%d&after=%d", path, post.ID, post.ID), nil).Problem(400, "", "")
	ada.Do("GET", "/v1/rooms?limit=101", nil).Problem(400, "", "limit")
	ada.Do("GET", "/v1/nothing-there", nil).Problem(404, "", "")
	for _, name := range []string{"a b", "..", ".", "a/b", strings.Repeat("n", 65), "a\x01"} {
		if a := ada.Do("PUT", "/v1/rooms/"+url.PathEscape(name), nil); a.Status/100 != 4 {
			t.Errorf("room name %q: got %s", name, a)
		}
	}
	if got := ada.History(room); len(got) != 1 || got[0].ID != post.ID {
		t.Errorf("history has %d messages after the refused posts", len(got))
	}
}
