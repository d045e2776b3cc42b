package suite

import (
	"strings"
	"time"
)

// texts must be kept as sent, and are difficult for some framing.
var texts = []string{
	"hi", `"quoted" \ back\slash /`, "<b>&amp;</b>", "data: x\nid: 9\nevent: y\n\ndata: z", "\r\n.\r\n", "tab\t, bell\a, delete\x7f, \x01",
	"line\u2028and paragraph\u2029separator, nel\u0085", "\ufeffbyte order mark", "👩‍👩‍👧 é e\u0301 שלום 你好", "0", "null", "[1,2]", `{"type":"chat_message"}`, ": comment", " spaces ",
	strings.Repeat("long ", 800), strings.Repeat("€", 4000),
}

func bytesOfMessages(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	var types []string
	var last Event
	for _, text := range texts {
		last = c.Answered(ada.Post(room, text))
		types = append(types, last.Type)
		if last.Message != text {
			t.Errorf("%q delivered as %q", clip(text), clip(last.Message))
		}
	}
	plain := c.Answered(ada.Do("POST", roomPath(room, "messages"), Raw("as it is"), "Content-Type: text/plain").Want(201).Event())
	last = c.Answered(ada.Do("POST", roomPath(room, "messages"), map[string]string{"message": "with a nonce", "nonce": "n-1 é"}).Want(201).Event())
	if plain.Message != "as it is" || last.Nonce != "n-1 é" {
		t.Errorf("posts delivered as %s and %s", plain.Raw, last.Raw)
	}
	c.Check(last, append(types, "chat_message", "chat_message")...)
}

func bytesOfReplies(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	first := c.Answered(ada.Post(room, "a question"))
	a := ada.Do("POST", roomPath(room, "messages"), map[string]any{"message": "an answer", "reply_to": first.ID})
	if a.Status == 400 && strings.Contains(a.Body, "unsupported") {
		t.Lack("the server has no reply_to")
	}
	reply := c.Answered(a.Want(201).Event())
	if len(reply.ReplyTo) == 0 {
		t.Errorf("reply = %s", reply.Raw)
	}
	c.Check(reply, "chat_message", "chat_message")
}

func bytesOfMembership(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(ada, rooms(room))
	bob.Enter(room)
	types := []string{"member_added", "chat_message"}
	if t.server.lacks("PUT /v1/rooms/{room}/members/{username}") == "" {
		ada.Do("PUT", roomPath(room, "members", bob.Name), map[string]string{"role": "moderator"}).OK()
		ada.Do("DELETE", roomPath(room, "members", bob.Name), nil).OK()
		bob.Enter(room)
		bob.Do("DELETE", roomPath(room, "members", bob.Name), nil).OK()
		types = []string{"member_added", "member_added", "member_removed", "member_added", "member_removed", "chat_message"}
	}
	c.Check(c.Answered(ada.Post(room, "the end")), types...)
}

// bytesOfInvitation compares what a user who is invited and removed gets in the inbox.
func bytesOfInvitation(t *T) {
	ada, bob := t.User(), t.User()
	room, other := t.PrivateRoom(ada), t.Room(ada)
	c := t.Compare(bob, rooms(other))
	ada.Do("PUT", roomPath(room, "members", bob.Name), map[string]string{"role": "member"}).OK()
	ada.Do("DELETE", roomPath(room, "members", bob.Name), nil).OK()
	c.Check(c.Answered(ada.Post(other, "the end")), "member_added", "member_removed", "chat_message")
}

func bytesOfEdits(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	post := c.Answered(ada.Post(room, "first"))
	for _, text := range texts[:10] {
		ada.Do("PATCH", roomPath(room, "messages", id(post)), map[string]string{"message": text}).OK()
	}
	types := []string{"chat_message"}
	for range 10 {
		types = append(types, "message_edited")
	}
	c.Check(c.Answered(ada.Post(room, "the end")), append(types, "chat_message")...)
}

func bytesOfDeletion(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	c.Rewritten = true
	post := c.Answered(ada.Post(room, "to be deleted"))
	c.Await("the message", func(e Event) bool { return e.ID == post.ID })
	ada.Do("DELETE", roomPath(room, "messages", id(post)), nil).OK()
	c.Check(c.Answered(ada.Post(room, "the end")), "chat_message", "message_deleted", "chat_message")
	for _, r := range c.readings {
		if raw := r.events[post.ID]; !r.live && (strings.Contains(raw, "to be") || !strings.Contains(raw, `"message":""`) || !strings.Contains(raw, `"deleted":true`)) {
			t.Errorf("%s: deleted message replayed as %s", r.column, raw)
		}
	}
}

func bytesOfReactions(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	post := c.Answered(ada.Post(room, "well?"))
	for _, emoji := range []string{"👍", "❤️", "👩‍👩‍👧"} {
		for range 2 { // no change the second time
			bob.Do("PUT", roomPath(room, "messages", id(post), "reactions", emoji), nil).OK()
		}
	}
	bob.Do("DELETE", roomPath(room, "messages", id(post), "reactions", "👍"), nil).OK()
	c.Check(c.Answered(ada.Post(room, "the end")), "chat_message", "reaction_added", "reaction_added", "reaction_added", "reaction_removed", "chat_message")
}

func bytesOfRoomChanges(t *T) {
	ada, bob := t.User(), t.User()
	room, other := t.Room(ada), t.Room(ada)
	c := t.Compare(bob, rooms(room, other))
	ada.Do("PATCH", roomPath(room), map[string]string{"title": "A <new> title"}).OK()
	ada.Do("DELETE", roomPath(room), nil).OK()
	upto := c.Answered(ada.Post(other, "the end"))
	c.Rewritten = true // after a reconnect the room is lost, without its events
	c.t.Each(func(t *T) {
		live := c.live[t.column]
		if live == nil || live.Over.Wire == Poll { // a poll that was not waiting finds the room lost too
			return
		}
		c.read(t.column, true, live.Durables(upto.ID))
	})
	c.vote(true, []string{"room_updated", "room_deleted", "chat_message"})
}

func bytesOfPrivateMessages(t *T) {
	ada, bob := t.User(), t.User()
	theirs, mine := t.Compare(bob, ""), t.Compare(ada, "")
	var upto Event
	var received, delivered []string
	for _, text := range texts[:12] {
		upto = theirs.Answered(ada.Do("POST", privatePath(bob.Name, "messages"), map[string]string{"message": text}).Want(201).Event())
		received, delivered = append(received, "private_message"), append(delivered, "private_message_delivered")
	}
	theirs.Check(upto, received...)
	// The sender's copy has a different id; a message to oneself is a single private_message.
	end := mine.Answered(ada.Do("POST", privatePath(ada.Name, "messages"), map[string]string{"message": "to myself"}).Want(201).Event())
	mine.Check(end, append(delivered, "private_message")...)
}

func bytesOfPrivateChanges(t *T) {
	ada, bob := t.User(), t.User()
	c := t.Compare(bob, "")
	c.Rewritten = true
	post := c.Answered(ada.Do("POST", privatePath(bob.Name, "messages"), map[string]string{"message": "psst"}).Want(201).Event())
	ada.Do("PATCH", privatePath(bob.Name, "messages", id(post)), map[string]string{"message": "psst!"}).OK()
	c.Await("the edit", func(e Event) bool { return e.Type == "message_edited" && e.MessageID == post.ID })
	ada.Do("DELETE", privatePath(bob.Name, "messages", id(post)), nil).OK()
	end := c.Answered(ada.Do("POST", privatePath(bob.Name, "messages"), map[string]string{"message": "the end"}).Want(201).Event())
	c.Check(end, "private_message", "message_edited", "message_deleted", "private_message")
}

func bytesOfTyping(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	last := time.Time{}
	cause := func() {
		time.Sleep(time.Until(last.Add(3100 * time.Millisecond))) // at most one event per user in 3 s
		ada.Do("POST", roomPath(room, "typing"), nil).Want(204)
		last = time.Now()
	}
	c.Ephemeral("user_typing", cause, func() Event { return ada.Post(room, "mark") }, func(e Event) bool {
		return e.Type == "user_typing" && e.User == ada.Name && e.Room == room
	})
}

func bytesOfReadMarkers(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	c.markers("message_read", ada, bob, room, "")
}

// markers makes reader read what poster posts, and compares the resulting events, which name user.
func (c *Comparison) markers(what string, poster, reader *User, room, user string) {
	latest := poster.Post(room, "first")
	c.t.Each(func(t *T) {
		if s := c.live[t.column]; s != nil {
			s.Message(latest)
		}
	})
	cause := func() { reader.Do("PUT", roomPath(room, "read"), map[string]int64{"id": latest.ID}).OK() }
	mark := func() Event { latest = poster.Post(room, "mark"); return latest }
	c.Ephemeral(what, cause, mark, func(e Event) bool {
		return e.Type == what && e.Room == room && e.MessageID != 0 && e.User == user
	})
}

func bytesOfPresence(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(ada, rooms(room))
	cause := func() { t.OpenOver(t.over[0], bob, rooms(room)).Opening() }
	c.Ephemeral("user_join", cause, func() Event { return ada.Post(room, "mark") }, func(e Event) bool {
		return e.Type == "user_join" && e.User == bob.Name && e.Room == room
	})
}
