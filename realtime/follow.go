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
	after   int64 // nothing up to it is sent
	until   int64 // nothing above it is sent; 0 while there is no end
	named   bool  // asked for by its name, and not only as one of the viewer's rooms
	present bool  // the viewer is counted in it
}

// covers tells whether an event that came when the log was at that position lies within f. An ephemeral one has no
// id of its own: it came behind the event with that id.
func (f *follow) covers(at int64, durable bool) bool {
	return at > f.after && (f.until == 0 || at < f.until || at == f.until && durable)
}

// covered tells whether e lies within one of these.
func covered(follows []follow, e *chat.Event) bool {
	return slices.ContainsFunc(follows, func(f follow) bool {
		return (f.topic.key == e.Topic || f.topic.key == e.Also) && f.covers(e.ID, true)
	})
}

// following is s's open follow of t, or nil. Hub.mu is held.
func (s *Stream) following(t *topic) *follow {
	for i := range s.follows {
		if f := &s.follows[i]; f.topic == t && f.until == 0 {
			return f
		}
	}
	return nil
}

// follow has s follow t behind after. Hub.mu is held.
func (s *Stream) follow(t *topic, after int64, named bool) *follow {
	s.follows = append(s.follows, follow{topic: t, after: after, named: named})
	s.bounded = s.bounded || after != 0
	t.subs = append(t.subs, s)
	return &s.follows[len(s.follows)-1]
}

// unfollow ends s's follow of t with the event at: what comes up to it is still sent. Hub.mu is held.
func (s *Stream) unfollow(f *follow, at int64) {
	f.until, f.present = at, false
	s.bounded = true
	s.detach(f.topic)
	s.wake() // not by the topic any more
}

// settle drops the bounds that s has passed. Hub.mu is held, for reading at least: only Next calls it, and only there
// or under the full lock follows change.
func (s *Stream) settle() {
	if !s.bounded {
		return
	}
	s.bounded = false
	s.follows = slices.DeleteFunc(s.follows, func(f follow) bool { return f.until != 0 && f.until <= s.pos })
	for i := range s.follows {
		f := &s.follows[i]
		if f.after < s.pos { // at f.after itself there may be ephemeral ones to pass over
			f.after = 0
		}
		s.bounded = s.bounded || f.after != 0 || f.until != 0
	}
}

// change is what an event does to who follows a room.
type change struct {
	id   int64
	kind string // the event's type, or closed
	room int64
	name string
	user int64 // whom it concerns; 0 for everybody
}

const (
	barred = "barred" // the user may no longer see the room
	closed = "closed" // the room was made private
)

// changeBy says what e changes; ok is false where it is nothing.
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

// apply makes a change in the streams that it concerns; its own event is in the ring. Streams that are being opened
// find it among h.changes, and those that knew of it when they opened pass over it. Hub.mu is held.
func (h *Hub) apply(c change) {
	if h.opening > 0 {
		h.changes = append(h.changes, c)
	}
	switch c.kind {
	case chat.TypeMemberAdded:
		h.welcome(c)
		return
	case barred, closed, chat.TypeRoomDeleted:
		h.openRooms.forget()
	}
	// Looked up here: the topic of an event that the ring has dropped already may be another, or none.
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
		t.people, t.names = nil, nil // nobody is left to be told
		t.list.Store(nil)
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

// welcome has the user's streams of all their rooms follow another, from the event on; who is there follows it.
// Hub.mu is held.
func (h *Hub) welcome(c change) {
	var t *topic
	came := false
	for _, s := range h.users[c.user] {
		if !s.all || c.id <= s.known || !s.viewer.Reaches(c.room) {
			continue
		}
		if t == nil {
			t = h.topic(chat.RoomTopic(c.room))
			t.room = c.name
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
	l := t.userList()
	h.put(&entry{at: h.pos, typ: l.typ, json: l.json, only: c.user, topics: [2]*topic{t}})
	t.changed = h.ring.seq // whoever is behind gets the list when they are no longer
}

// sendBack has s's client resume by its cursor, and so be judged anew. Hub.mu is held.
func (s *Stream) sendBack() {
	s.over = true
	s.Close(chat.CloseRestart, retrySoon+rand.N(retrySoon))
}

// retrySoon is how soon a client comes back that was sent back.
const retrySoon = 500 * time.Millisecond
