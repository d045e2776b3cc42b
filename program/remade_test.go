package program

import (
	"fmt"
	"slices"
	"testing"
)

// A cursor means the rooms that there were at its time. Who comes back for a room that was deleted and made anew
// meanwhile is told that it is lost, over each transport, and gets nothing of the new one before asking for it.
func TestRoomMadeAnewIsAnotherRoom(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	onEach(t, func(t *testing.T, over transport) {
		ada, bob, room, other := ada.in(t), bob.in(t), "remade-"+string(over), "other-"+string(over)
		query := "room=" + room + "&room=" + other
		ada.enter(room)
		ada.enter(other)
		before := ada.post(room, "in the old room")
		for range 2 { // deleted and made anew, twice
			ada.do("DELETE", roomPath(room), nil).want(204)
			ada.do("PUT", roomPath(room), nil).want(201)
		}
		ada.post(room, "in the new room")
		mark := ada.post(other, "mark")

		s := bob.open(over, query+"&since="+fmt.Sprint(before.ID))
		if e := s.opening(); !e.Resumed || !slices.Equal(e.Lost, []string{room}) || !slices.Equal(e.Rooms, []string{other}) {
			t.Errorf("the stream opens with %s", e.raw)
		}
		for _, e := range s.untilMessage("mark") {
			if e.Room == room {
				t.Errorf("the stream that has lost the room brings %s", e.raw)
			}
		}
		s.close()
		// With the cursor of now, or none, the name is the new room's.
		for _, since := range []string{fmt.Sprint("&since=", mark.ID), ""} {
			s := bob.open(over, query+since)
			if e := s.opening(); len(e.Lost) > 0 || !slices.Contains(e.Rooms, room) {
				t.Errorf("asked for anew, the stream opens with %s", e.raw)
			}
			s.close()
		}
		// Who is a member of the new one gets it as such.
		s = ada.open(over, "room=*&"+query+"&since="+fmt.Sprint(before.ID))
		if e := s.opening(); len(e.Lost) > 0 || !slices.Contains(e.Rooms, room) {
			t.Errorf("under room=* the stream opens with %s", e.raw)
		}
		s.untilMessage("in the new room")
		s.close()
		// Before there was any room of that name it means the one that there is.
		s = bob.open(over, query+"&since=0")
		if e := s.opening(); len(e.Lost) > 0 || !slices.Contains(e.Rooms, room) {
			t.Errorf("from the beginning of the log the stream opens with %s", e.raw)
		}
		s.untilMessage("in the new room")
		s.close()
		// A name that no room has had before loses nobody, whatever the cursor.
		ada.enter("first-" + string(over))
		s = bob.open(over, "room=first-"+string(over)+"&since="+fmt.Sprint(before.ID))
		if e := s.opening(); len(e.Lost) > 0 {
			t.Errorf("a room that is new opens with %s", e.raw)
		}
	})
}
