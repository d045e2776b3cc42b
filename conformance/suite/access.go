package suite

import (
	"slices"
	"time"
)

// removal: a user who loses a room gets that event and nothing of the room after it; the stream continues with the
// rest.
func removal(t *T) {
	removalBy(t, func(ada, bob *User, room string) {
		ada.Do("DELETE", roomPath(room, "members", bob.Name), nil).OK()
	})
}

// ban: the same holds for a ban.
func ban(t *T) {
	removalBy(t, func(ada, bob *User, room string) {
		ada.Do("PUT", roomPath(room, "bans", bob.Name), nil).OK()
	})
}

func removalBy(t *T, remove func(ada, bob *User, room string)) {
	ada, bob := t.User(), t.User()
	room, open := t.PrivateRoom(ada), t.Room(ada)
	ada.Do("PUT", roomPath(room, "members", bob.Name), map[string]string{"role": "member"}).OK()
	s := t.Open(bob, rooms(room, open))
	s.Opening()
	s.Message(ada.Post(room, "before"))
	away := t.Open(bob, rooms(room, open))
	since := away.Opening().Since
	away.Close()
	remove(ada, bob, room)
	ada.Post(room, "a secret")
	mark := ada.Post(open, "mark")
	if e := s.Next("member_removed"); e.Target != bob.Name || e.Room != room || e.User != ada.Name {
		t.Errorf("bob got %s", e.Raw)
	}
	s = s.Turn()
	s.Message(mark)

	// A user who was away finds the room in lost, and gets the event in the inbox.
	away = t.OpenOver(t.Then, bob, rooms(room, open)+"&since="+since)
	if e := away.Opening(); !slices.Equal(e.Lost, []string{room}) || !slices.Equal(e.Rooms, []string{open}) {
		t.Errorf("stream_open = %s", e.Raw)
	}
	if e := away.Durable(); e.Type != "member_removed" || e.Room != room {
		t.Errorf("bob got %s after the reconnect", e.Raw)
	}
	away.Message(mark)
	t.Refused(bob, rooms(room)).Problem(404, "room_not_found", "")
}

func roomDeleted(t *T) {
	ada, bob := t.User(), t.User()
	room, open := t.Room(ada), t.Room(ada)
	s := t.Open(bob, rooms(room, open))
	s.Opening()
	before := ada.Post(room, "before")
	s.Message(before)
	ada.Do("DELETE", roomPath(room), nil).OK()
	s = s.turnLosing(room)
	// A poll that was not waiting finds the room lost. The next poll names it again, and gets the new room.
	poll := s.Over.Wire == Poll
	if len(s.Open.Lost) == 0 && !poll { // otherwise the room was lost during the switch
		if e := s.Next("room_deleted"); e.Room != room || e.User != ada.Name {
			t.Errorf("bob got %s", e.Raw)
		}
	}
	// A new room with the old name is a different room.
	ada.Do("PUT", roomPath(room), nil).Want(201)
	ada.Post(room, "in the new room")
	mark := ada.Post(open, "mark")
	for poll {
		e := s.Durable()
		if e.Raw == mark.Raw {
			break
		}
		if e.Room != room || e.ID <= before.ID || e.Type == "room_deleted" && e.User != ada.Name {
			t.Fatalf("bob got %s", e.Raw)
		}
	}
	if !poll {
		s.Message(mark)
	}
	// A stream that returns with a cursor from the old room's time is told that the room is gone, and does not get the
	// new one.
	back := t.Open(bob, rooms(room, open)+"&since="+id(before))
	if e := back.Opening(); !slices.Equal(e.Lost, []string{room}) || !slices.Equal(e.Rooms, []string{open}) {
		t.Errorf("cursor from before the room was recreated: stream_open = %s", e.Raw)
	}
	back.Message(mark)
	fresh := t.Open(bob, rooms(room)+"&history=100")
	fresh.Opening()
	if e := fresh.Next("chat_message", "member_added"); e.Type == "member_added" {
		fresh.Next("chat_message")
	}
	for _, e := range bob.History(room) {
		if e.ID <= before.ID {
			t.Errorf("new room has %s of the old room", e.Raw)
		}
	}
}

// turnLosing is like Turn, for when the room has been lost meanwhile.
func (s *Stream) turnLosing(room string) *Stream {
	next := s.Turn()
	if next != s && !slices.Equal(next.Open.Lost, []string{room}) {
		s.t.Errorf("resumed after the deletion: stream_open = %s", next.Open.Raw)
	}
	return next
}

// openStar opens a stream of all rooms, if the server supports that.
func (t *T) openStar(u *User) *Stream {
	s, refusal, err := t.TryOver(t.Over, u, how{query: "room=*"})
	if refusal != nil && (refusal.Status == 404 || refusal.Status == 400) {
		t.Lack("the server has no room=*")
	}
	if s == nil {
		t.Fatalf("open ?room=*: %v %v", refusal, err)
	}
	return s
}

// starRooms follows all rooms of the user as memberships change.
func starRooms(t *T) {
	if t.Over.Wire == Poll {
		t.Patience += 30 * time.Second // a list that comes after an answer is in the next one, which may take its 25 s
	}
	ada, bob := t.User(), t.User()
	room, stays, never := t.Room(ada), t.Room(ada), t.Room(ada)
	bob.Enter(stays)
	s := t.openStar(bob)
	if e := s.Opening(); !slices.Contains(e.Rooms, stays) || slices.Contains(e.Rooms, room) {
		t.Fatalf("stream_open = %s", e.Raw)
	}
	ada.Post(room, "before")
	bob.Enter(room)
	if e := s.Durable(); e.Type != "member_added" || e.Target != bob.Name || e.Room != room {
		t.Fatalf("bob got %s", e.Raw)
	}
	s.Until("the new room's user_list", func(e Event) bool { return e.Type == "user_list" && e.Room == room })
	ada.Post(never, "not his")
	s.Message(ada.Post(room, "in the new room"))
	s = s.Turn()
	s.Messages(ada.Post(room, "still"), ada.Post(stays, "here too"))

	bob.Do("DELETE", roomPath(room, "members", bob.Name), nil).OK()
	if e := s.Durable(); e.Type != "member_removed" || e.Target != bob.Name || e.Room != room {
		t.Fatalf("bob got %s", e.Raw)
	}
	s = s.Turn()
	ada.Post(room, "without him")
	s.Message(ada.Post(stays, "mark"))
}

// starAway checks that a reconnecting stream gets what has changed.
func starAway(t *T) {
	ada, bob := t.User(), t.User()
	room, stays := t.Room(ada), t.Room(ada)
	bob.Enter(stays)
	s := t.openStar(bob)
	s.Opening()
	s.Message(ada.Post(stays, "before"))
	s.Close()
	bob.Enter(room)
	in := ada.Post(room, "in the new room")
	next := t.OpenOver(t.Then, bob, resumeQuery("room=*", s.cursor))
	if e := next.Opening(); !e.Resumed || !slices.Contains(e.Rooms, room) {
		t.Errorf("stream_open = %s", e.Raw)
	}
	if e := next.Durable(); e.Type != "member_added" || e.Target != bob.Name || e.Room != room {
		t.Fatalf("bob got %s", e.Raw)
	}
	next.Message(in)
}
