package streams

import (
	"slices"
	"strconv"
	"testing"

	"tandem/e2e/harness"
)

// An open stream loses a room with the event that says so: nothing of the room follows, and other rooms continue.
func TestLiveStreamsLoseTheirRoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	bob.Enter("lobby")
	for what, tt := range map[string]struct {
		visibility string
		lose       func(room string)
		last       string // the type of the room's last event
	}{
		"removed": {"private", func(room string) { ada.Do("DELETE", harness.RoomPath(room)+"/members/bob", nil).Want(204) }, "member_removed"},
		"left":    {"private", func(room string) { bob.Do("DELETE", harness.RoomPath(room)+"/members/bob", nil).Want(204) }, "member_removed"},
		"banned":  {"public", func(room string) { ada.Do("PUT", harness.RoomPath(room)+"/bans/bob", nil).Want(204) }, "member_removed"},
		"deleted": {"public", func(room string) { ada.Do("DELETE", harness.RoomPath(room), nil).Want(204) }, "room_deleted"},
	} {
		t.Run(what, func(t *testing.T) {
			harness.OnEach(t, func(t *testing.T, over harness.Transport) {
				ada, bob := ada.In(t), bob.In(t)
				room := what + "-" + string(over)
				ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: room, Visibility: tt.visibility}).Want(201)
				ada.SetMember(room, "bob", "member").Want(200)
				streams := []*harness.Stream{bob.Open(over, "room=lobby&room="+room), bob.Open(over, "room=*")}
				for _, s := range streams {
					if open := s.Opening(); !slices.Contains(open.Rooms, room) {
						t.Fatalf("stream_open = %s", open.Raw)
					}
				}
				p.AwaitPolls(t, over, len(streams))
				ada.Post(room, "before")
				tt.lose(room)
				if what != "deleted" {
					ada.Post(room, "secret")
				}
				ada.Post("lobby", "marker of "+room)
				for _, s := range streams {
					var last harness.Event
					for _, e := range s.UntilMessage("marker of " + room) {
						if e.Message == "secret" {
							t.Errorf("got %s after access was lost", e.Raw)
						}
						if e.Room == room && e.ID != 0 {
							last = e
						}
					}
					// A poll that was not waiting learns only that the deleted room is lost.
					between := over == harness.OverPoll && what == "deleted" && last.Message == "before"
					if last.Type != tt.last && !between {
						t.Errorf("last of the room = %s", last.Raw)
					}
					s.Close()
				}
			})
		})
	}
}

// When a public room becomes private its streams reconnect with their cursors, and non-members are told that it is
// lost.
func TestClosingARoomDisconnectsStrangers(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		room := "square-" + string(over)
		ada.Enter(room)
		s := bob.Open(over, "room="+room)
		s.Opening()
		ada.Do("PATCH", harness.RoomPath(room), map[string]string{"visibility": "private"}).Want(200)
		ada.Post(room, "among us")
		var last harness.Event
		for _, e := range s.Until(func(e harness.Event) bool { return e.Type == "stream_close" }) {
			if e.Message != "" {
				t.Errorf("bob got %s", e.Raw)
			}
			if e.ID != 0 {
				last = e
			}
			if e.Type == "stream_close" && e.Reason != "restart" {
				t.Errorf("stream ended with %s", e.Raw)
			}
		}
		cursor := s.Open.Since
		if last.ID != 0 {
			cursor = strconv.FormatInt(last.ID, 10)
		}
		back := bob.Open(over, "room="+room+"&since="+cursor)
		if open := back.Opening(); !slices.Equal(open.Lost, []string{room}) {
			t.Errorf("stream_open after the reconnect = %s", open.Raw)
		}
	})
}
