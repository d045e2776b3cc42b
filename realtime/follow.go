package realtime

import (
	"math/rand/v2"
	"slices"
	"time"

	"tandem/chat"
)

// follow is a topic that a stream follows, from one position of the log to another. Guarded by Hub.mu.
type follow struct {
	topic   *topic
	after   int64 // send events after it
	until   int64 // send events up to it; 0 for no end
	named   bool  // requested by name, not only as one of the viewer's rooms
	present bool  // the viewer is counted as present in it
}

// covers reports whether an event that arrived at that position of the log lies within f. An ephemeral event has no id:
// it came after the event with that id.
func (f *follow) covers(at int64, durable bool) bool {
	return at > f.after && (f.until == 0 || at < f.until || at == f.until && durable)
}

// covered reports whether e lies within one of these.
func covered(follows []follow, e *chat.Event) bool {
	return slices.ContainsFunc(follows, func(f follow) bool {
		return (f.topic.key == e.Topic || f.topic.key == e.Also) && f.covers(e.ID, true)
	})
}

// following returns s's open follow of t, or nil. The caller holds Hub.mu.
func (s *Stream) following(t *topic) *follow {
	for i := range s.follows {
		if f := &s.follows[i]; f.topic == t && f.until == 0 {
			return f
		}
	}
	return nil
}

// follow makes s follow t after the position after. The caller holds Hub.mu.
func (s *Stream) follow(t *topic, after int64, named bool) *follow {
	s.follows = append(s.follows, follow{topic: t, after: after, named: named})
	s.bounded = s.bounded || after != 0
	t.subs = append(t.subs, s)
	return &s.follows[len(s.follows)-1]
}

// unfollow ends s's follow of t with the event at, which is still sent. The caller holds Hub.mu.
func (s *Stream) unfollow(f *follow, at int64) {
	f.until, f.present = at, false
	s.bounded = true
	s.detach(f.topic)
	s.wake() // the topic no longer wakes it
}

// settle drops the bounds that s has passed. The caller holds Hub.mu, at least for reading: only Next calls it, and
// otherwise follows only change under the full lock.
func (s *Stream) settle() {
	if !s.bounded {
		return
	}
	s.bounded = false
	s.follows = slices.DeleteFunc(s.follows, func(f follow) bool { return f.until != 0 && f.until <= s.pos })
	for i := range s.follows {
		f := &s.follows[i]
		if f.after < s.pos { // at f.after itself there may be ephemeral events to skip
			f.after = 0
		}
		s.bounded = s.bounded || f.after != 0 || f.until != 0
	}
}

// change is an event's effect on who follows a room.
type change struct {
	id   int64
	kind string // the event's type, or closed
	room int64
	name string
	user int64 // the affected user; 0 for everyone
}

const (
	barred = "barred" // the user can no longer see the room
	closed = "closed" // the room became private
)

// changeBy returns the change that e causes; ok is false if there is none.
func changeBy(e *chat.Event) (c change, ok bool) {
	switch e.Type {
	case chat.TypeMemberAdded, chat.TypeMemberRemoved, chat.TypeRoomDeleted:
		return change{e.ID, e.Type, e.Topic.Number(), e.RoomName(), e.Also.Number()}, true
	}
	return change{}, false
}

// changeByControl is changeBy for a control event.
func changeByControl(id int64, c chat.ControlEvent) (change, bool) {
	switch {
	case c.Room == 0:
		return change{}, false
	case c.User == 0:
		return change{id: id, kind: closed, room: c.Room}, true
	}
	return change{id: id, kind: barred, room: c.Room, user: c.User}, true
}

// apply applies a change to the affected streams; its own event is in the ring. Streams that are being opened find it
// in h.changes, and those that already knew it when they opened skip it. The caller holds Hub.mu.
func (h *Hub) apply(c change) {
	if h.opening > 0 {
		h.changes = append(h.changes, c)
	}
	switch c.kind {
	case chat.TypeMemberAdded:
		h.welcome(c)
		return
	case chat.TypeRoomDeleted:
		h.vacate(chat.RoomTopic(c.room))
		h.openRooms.forget()
	case barred, closed:
		h.openRooms.forget()
	}
	// Look up the topic here: if the ring has dropped the event, the topic may be a new one, or gone.
	t := h.topics[chat.RoomTopic(c.room)]
	if t == nil {
		return
	}
	switch c.kind {
	case chat.TypeMemberRemoved, barred:
		for _, s := range h.users[c.user] {
			f := s.following(t)
			if f == nil || c.id <= s.known || c.kind == chat.TypeMemberRemoved && f.named {
				continue
			}
			if f.present {
				h.leave(t, s.viewer, grace)
			}
			s.unfollow(f, c.id)
		}
		if c.kind == barred {
			h.expel(t, c.user)
		}
	case chat.TypeRoomDeleted:
		for _, s := range slices.Clone(t.subs) {
			s.unfollow(s.following(t), c.id)
		}
	case closed:
		for _, s := range t.subs {
			if c.id > s.known {
				s.sendBack()
			}
		}
	}
	h.forgetIfUnused(t)
}

// welcome makes the user's streams that follow all their rooms follow another one, from the event on. The caller holds
// Hub.mu.
func (h *Hub) welcome(c change) {
	var t *topic
	came := false
	for _, s := range h.users[c.user] {
		if !s.all || c.id <= s.known || !s.viewer.Reaches(c.room) {
			continue
		}
		if t == nil {
			t = h.room(c.room, c.name)
		}
		if s.following(t) != nil {
			continue
		}
		s.follow(t, c.id-1, false).present = true
		h.join(t, s.viewer)
		came = true
	}
	if !came {
		return
	}
	l := t.userList(c.user)
	h.put(&entry{at: h.pos, typ: l.typ, json: l.json, only: c.user, topics: []*topic{t}})
	t.changed = h.ring.seq // streams that are behind get the list when they have caught up
}

// sendBack makes s's client reconnect and resume from its cursor, so that its access is checked again. The caller holds
// Hub.mu.
func (s *Stream) sendBack() {
	s.over = true
	s.Close(chat.CloseRestart, retrySoon+rand.N(retrySoon))
}

// retrySoon is when a client that was sent back reconnects.
const retrySoon = 500 * time.Millisecond
