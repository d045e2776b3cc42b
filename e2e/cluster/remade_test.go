package cluster

import (
	"fmt"
	"slices"
	"testing"

	"tandem/e2e/harness"
)

// A cursor refers to the rooms of its time. If a room was deleted and recreated, the stream from an older cursor
// reports the room as lost, over each transport, and carries nothing of the new room until the client asks for it.
func TestRecreatedRoomIsADifferentRoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob, room, other := ada.In(t), bob.In(t), "remade-"+string(over), "other-"+string(over)
		query := "room=" + room + "&room=" + other
		ada.Enter(room)
		ada.Enter(other)
		before := ada.Post(room, "in the old room")
		for range 2 { // delete and recreate it twice
			ada.Do("DELETE", harness.RoomPath(room), nil).Want(204)
			ada.Do("PUT", harness.RoomPath(room), nil).Want(201)
		}
		ada.Post(room, "in the new room")
		mark := ada.Post(other, "mark")

		s := bob.Open(over, query+"&since="+fmt.Sprint(before.ID))
		if e := s.Opening(); !e.Resumed || !slices.Equal(e.Lost, []string{room}) || !slices.Equal(e.Rooms, []string{other}) {
			t.Errorf("stream from a cursor before the deletion: got %s, want %s lost and only %s open", e.Raw, room, other)
		}
		for _, e := range s.UntilMessage("mark") {
			if e.Room == room {
				t.Errorf("event on the stream that lost the room: got %s, want none of %s", e.Raw, room)
			}
		}
		s.Close()
		// With a current cursor, or none, the name refers to the new room.
		for _, since := range []string{fmt.Sprint("&since=", mark.ID), ""} {
			s := bob.Open(over, query+since)
			if e := s.Opening(); len(e.Lost) > 0 || !slices.Contains(e.Rooms, room) {
				t.Errorf("stream that asks for %s again: got %s, want it open", room, e.Raw)
			}
			s.Close()
		}
		// A member of the new room gets it without asking.
		s = ada.Open(over, "room=*&"+query+"&since="+fmt.Sprint(before.ID))
		if e := s.Opening(); len(e.Lost) > 0 || !slices.Contains(e.Rooms, room) {
			t.Errorf("stream of room=*: got %s, want %s open", e.Raw, room)
		}
		s.UntilMessage("in the new room")
		s.Close()
		// If no room had the name at the cursor's time, it refers to the present one.
		s = bob.Open(over, query+"&since=0")
		if e := s.Opening(); len(e.Lost) > 0 || !slices.Contains(e.Rooms, room) {
			t.Errorf("stream from the start of the log: got %s, want %s open", e.Raw, room)
		}
		s.UntilMessage("in the new room")
		s.Close()
		// A name that no other room has had is never reported as lost, with any cursor.
		ada.Enter("first-" + string(over))
		s = bob.Open(over, "room=first-"+string(over)+"&since="+fmt.Sprint(before.ID))
		if e := s.Opening(); len(e.Lost) > 0 || !slices.Equal(e.Rooms, []string{"first-" + string(over)}) {
			t.Errorf("stream of a new room: got %s, want it open and nothing lost", e.Raw)
		}
	})
}
