package suite

import (
	"slices"
	"strings"
)

// bytesOfPins pins several times, and finally deletes what is pinned, after which no more is sent about the pin.
func bytesOfPins(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	c.Rewritten = true
	post := c.Answered(ada.Post(room, "important"))
	c.Await("the message", func(e Event) bool { return e.ID == post.ID })
	for _, method := range []string{"PUT", "PUT", "DELETE", "DELETE", "PUT"} {
		ada.Do(method, roomPath(room, "messages", id(post), "pin"), nil).OK()
	}
	bob.Do("PUT", roomPath(room, "messages", id(post), "pin"), nil).Problem(403, "forbidden", "")
	ada.Do("DELETE", roomPath(room, "messages", id(post)), nil).OK()
	c.Check(c.Answered(ada.Post(room, "the end")), "chat_message", "message_pinned", "message_unpinned", "message_pinned", "message_deleted", "chat_message")
}

func bytesOfPrivatePins(t *T) {
	ada, bob := t.User(), t.User()
	c := t.Compare(bob, "")
	post := c.Answered(ada.Do("POST", privatePath(bob.Name, "messages"), map[string]string{"message": "psst"}).Want(201).Event())
	for _, method := range []string{"PUT", "PUT", "DELETE", "DELETE"} {
		ada.Do(method, privatePath(bob.Name, "messages", id(post), "pin"), nil).OK()
	}
	end := c.Answered(ada.Do("POST", privatePath(bob.Name, "messages"), map[string]string{"message": "the end"}).Want(201).Event())
	c.Check(end, "private_message", "message_pinned", "message_unpinned", "private_message")
}

func bytesOfReceipts(t *T) {
	ada, bob := t.User(), t.User()
	room := t.PrivateRoom(ada)
	ada.Do("PATCH", roomPath(room), map[string]bool{"receipts": true}).OK()
	ada.Do("PUT", roomPath(room, "members", bob.Name), map[string]string{"role": "member"}).OK()
	c := t.Compare(ada, rooms(room))
	c.markers("message_seen", ada, bob, room, bob.Name)
}

func bytesOfProfiles(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	names := 0
	cause := func() {
		names++
		ada.Do("PATCH", "/v1/me", map[string]string{"display_name": strings.Repeat("Ada ", names)}).OK()
	}
	c.Ephemeral("user_updated", cause, func() Event { return ada.Post(room, "mark") }, func(e Event) bool {
		return e.Type == "user_updated" && e.User == ada.Name
	})
	ada.Do("PATCH", "/v1/me", map[string]any{"display_name": nil}).OK()
}

// invisible hides a user and shows them again: others see a leave and a join, the user sees nothing.
func invisible(t *T) {
	ada, bob := t.Fresh(), t.User() // the scenario may end with the user invisible
	room := t.Room(ada)
	mark := func() Event { return bob.Post(room, "mark") }
	watch := t.Open(bob, rooms(room))
	watch.Opening()
	own := t.Open(ada, rooms(room))
	own.Opening()
	watch.UntilReported(ada.Name+" in", mark)
	ada.Do("PATCH", "/v1/me", map[string]bool{"invisible": true}).OK()
	watch.UntilReported(ada.Name+" out", mark)
	late, again := t.Open(bob, rooms(room)), t.Open(ada, rooms(room))
	late.Opening()
	again.Opening()
	if slices.Contains(late.Lists[room].Users, ada.Name) || !slices.Contains(again.Lists[room].Users, ada.Name) {
		t.Errorf("user list = %s, list with an invisible user = %s", late.Lists[room].Raw, again.Lists[room].Raw)
	}
	ada.Do("PATCH", "/v1/me", map[string]bool{"invisible": false}).OK()
	watch.reported = nil
	watch.UntilReported(ada.Name+" in", mark)
	watch.Reported(ada.Name + " in")
	own.Durables(mark().ID)
	own.Reported()
}
