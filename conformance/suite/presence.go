package suite

import (
	"slices"
	"time"
)

// follow records what an event says about presence.
func (s *Stream) follow(e Event) {
	if s.present == nil {
		s.present = map[string]map[string]bool{}
	}
	in := s.present[e.Room]
	switch e.Type {
	case "user_list":
		now := map[string]bool{}
		for _, name := range e.Users {
			if now[name] = true; in != nil && !in[name] {
				s.reported = append(s.reported, name+" in")
			}
		}
		for name, was := range in {
			if was && !now[name] {
				s.reported = append(s.reported, name+" out")
			}
		}
		s.present[e.Room] = now
	case "user_join", "user_leave":
		if in == nil {
			s.t.Errorf("%s: got %s before any user_list", s.Over.Name, e.Raw)
			return
		}
		join, word := e.Type == "user_join", " out"
		if join {
			word = " in"
		}
		if in[e.User] == join && s.Over.Wire == Poll { // a poll's list may say it first
			return
		}
		if in[e.User] == join {
			s.t.Errorf("%s: join of a user who is present, or leave of one who is not: %s", s.Over.Name, e.Raw)
		}
		in[e.User] = join
		s.reported = append(s.reported, e.User+word)
	}
}

// UntilReported reads until the stream has reported the presence event what, such as "ada in". Ephemeral events do not
// complete a poll, so mark posts something that does.
func (s *Stream) UntilReported(what string, mark func() Event) {
	if s.Over.Wire != Poll {
		if !slices.Contains(s.reported, what) {
			s.Until(what, func(Event) bool { return slices.Contains(s.reported, what) })
		}
		return
	}
	for deadline := time.Now().Add(s.t.Patience); !slices.Contains(s.reported, what); {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: got %[3]q while waiting for %[2]q", s.Over.Name, what, s.reported)
		}
		s.Durables(mark().ID)
		time.Sleep(200 * time.Millisecond) // paces the requests
	}
}

// Reported checks the presence events reported so far and clears them.
func (s *Stream) Reported(want ...string) {
	if !slices.Equal(s.reported, want) {
		s.t.Errorf("%s: presence = %q, want %q", s.Over.Name, s.reported, want)
	}
	s.reported = nil
}

func presence(t *T) {
	ada, bob, carol := t.User(), t.User(), t.User()
	room := t.Room(ada)
	mark := func() Event { return ada.Post(room, "mark") }
	watch := t.Open(ada, rooms(room))
	watch.Opening()
	if list := watch.Lists[room]; !slices.Equal(list.Users, []string{ada.Name}) || list.Count != 1 {
		t.Errorf("ada's list = %s", list.Raw)
	}
	tab := t.Open(bob, rooms(room))
	tab.Opening()
	if list := tab.Lists[room]; len(list.Users) != 2 || list.Count != 2 || !slices.Contains(list.Users, ada.Name) {
		t.Errorf("bob's list = %s", list.Raw)
	}
	watch.UntilReported(bob.Name+" in", mark)

	second := t.OpenOver(t.Other(), bob, rooms(room)) // a second tab
	second.Opening()
	tab = tab.Turn() // or the first one after a switch
	second.Close()
	tab.Close() // a reload, within the grace
	tab = t.Open(bob, rooms(room))
	tab.Opening()

	// Carol joins after that and leaves at once. When her grace has run out, bob's would have too.
	visit := t.Open(carol, rooms(room))
	visit.Opening()
	watch.UntilReported(carol.Name+" in", mark)
	visit.Close()
	watch.UntilReported(carol.Name+" out", mark)
	watch.Reported(bob.Name+" in", carol.Name+" in", carol.Name+" out")

	tab.Close()
	watch.UntilReported(bob.Name+" out", mark)
	watch.Reported(bob.Name + " out")
	late := t.Open(carol, rooms(room))
	late.Opening()
	if list := late.Lists[room]; len(list.Users) != 2 || list.Count != 2 || slices.Contains(list.Users, bob.Name) {
		t.Errorf("list after bob has left = %s", list.Raw)
	}
}

// usersNow compares the users of a room from REST and from the stream.
func usersNow(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	s := t.Open(ada, rooms(room))
	s.Opening()
	var now struct {
		Users []string
		Count int
	}
	ada.Do("GET", roomPath(room, "users"), nil).Want(200).Into(&now)
	if !slices.Equal(now.Users, []string{ada.Name}) || now.Count != 1 {
		t.Errorf("room's users = %v", now)
	}
	other := t.Open(bob, rooms(room))
	other.Opening()
	ada.Do("GET", roomPath(room, "users"), nil).Want(200).Into(&now)
	slices.Sort(now.Users)
	list := slices.Sorted(slices.Values(other.Lists[room].Users))
	if !slices.Equal(now.Users, list) || now.Count != 2 {
		t.Errorf("users of the room = %v, but the stream has %v", now, list)
	}
}

func sitePresence(t *T) {
	ada, bob := t.User(), t.Fresh()
	room := t.Room(ada)
	mark := func() Event { return ada.Post(room, "mark") }
	watch := t.Open(ada, rooms(room)+"&site=1")
	watch.Opening()
	if watch.Lists[""].Raw == "" || watch.Lists[room].Raw == "" {
		t.Fatalf("lists = %v", watch.Lists)
	}
	inbox := t.Open(bob, "")
	inbox.Opening()
	theirs := func() {
		watch.reported = slices.DeleteFunc(watch.reported, func(what string) bool { return what != bob.Name+" in" && what != bob.Name+" out" })
	}
	watch.UntilReported(bob.Name+" in", mark)
	inbox.Close()
	watch.UntilReported(bob.Name+" out", mark)
	theirs() // others come and go meanwhile
	watch.Reported(bob.Name+" in", bob.Name+" out")
}
