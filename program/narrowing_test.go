package program

import (
	"slices"
	"strconv"
	"testing"
)

// A stream that is open loses a room with the event that says so: nothing of the room follows it, and the rest goes on.
func TestLiveStreamsLoseTheirRoom(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	bob.enter("lobby")
	for what, tt := range map[string]struct {
		visibility string
		lose       func(room string)
		last       string // the type of the last event of the room
	}{
		"removed": {"private", func(room string) { ada.do("DELETE", roomPath(room)+"/members/bob", nil).want(204) }, "member_removed"},
		"left":    {"private", func(room string) { bob.do("DELETE", roomPath(room)+"/members/bob", nil).want(204) }, "member_removed"},
		"banned":  {"public", func(room string) { ada.do("PUT", roomPath(room)+"/bans/bob", nil).want(204) }, "member_removed"},
		"deleted": {"public", func(room string) { ada.do("DELETE", roomPath(room), nil).want(204) }, "room_deleted"},
	} {
		t.Run(what, func(t *testing.T) {
			onEach(t, func(t *testing.T, over transport) {
				ada, bob := ada.in(t), bob.in(t)
				room := what + "-" + string(over)
				ada.do("POST", "/v1/rooms", newRoom{Name: room, Visibility: tt.visibility}).want(201)
				ada.setMember(room, "bob", "member").want(200)
				streams := []*stream{bob.open(over, "room=lobby&room="+room), bob.open(over, "room=*")}
				for _, s := range streams {
					if open := s.opening(); !slices.Contains(open.Rooms, room) {
						t.Fatalf("the stream begins with %s", open.raw)
					}
				}
				p.awaitPolls(t, over, len(streams))
				ada.post(room, "before")
				tt.lose(room)
				if what != "deleted" {
					ada.post(room, "secret")
				}
				ada.post("lobby", "marker of "+room)
				for _, s := range streams {
					var last event
					for _, e := range s.untilMessage("marker of " + room) {
						if e.Message == "secret" {
							t.Errorf("after the room was lost came %s", e.raw)
						}
						if e.Room == room && e.ID != 0 {
							last = e
						}
					}
					// A poll that was not waiting finds a deleted room lost, and is told nothing more of it.
					between := over == overPoll && what == "deleted" && last.Message == "before"
					if last.Type != tt.last && !between {
						t.Errorf("the last of the room is %s", last.raw)
					}
					s.close()
				}
			})
		})
	}
}

// Where a public room becomes private its streams come back by their cursors, and whoever is no member finds it lost.
func TestClosingARoomSendsStrangersAway(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	onPushing(t, func(t *testing.T, over transport) {
		ada, bob := ada.in(t), bob.in(t)
		room := "square-" + string(over)
		ada.enter(room)
		s := bob.open(over, "room="+room)
		s.opening()
		ada.do("PATCH", roomPath(room), map[string]string{"visibility": "private"}).want(200)
		ada.post(room, "among us")
		var last event
		for _, e := range s.until(func(e event) bool { return e.Type == "stream_close" }) {
			if e.Message != "" {
				t.Errorf("bob got %s", e.raw)
			}
			if e.ID != 0 {
				last = e
			}
			if e.Type == "stream_close" && e.Reason != "restart" {
				t.Errorf("the stream ended with %s", e.raw)
			}
		}
		cursor := s.open.Since
		if last.ID != 0 {
			cursor = strconv.FormatInt(last.ID, 10)
		}
		back := bob.open(over, "room="+room+"&since="+cursor)
		if open := back.opening(); !slices.Equal(open.Lost, []string{room}) {
			t.Errorf("bob comes back to %s", open.raw)
		}
	})
}
