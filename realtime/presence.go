package realtime

import (
	"slices"
	"sync/atomic"
	"time"

	"tandem/chat"
)

// presence is who is in a room. Guarded by Hub.mu.
type presence struct {
	room    string // its name; empty for the whole site, and for a topic that is no room
	people  map[int64]*person
	names   []string              // sorted
	changed uint64                // the ring's seq at the last join or leave
	list    atomic.Pointer[entry] // the user_list of now; nil until somebody needs it
}

// person is a user who is present on some node.
type person struct {
	name      string
	streams   int       // on this node
	here      bool      // they have streams on this node, or had within the grace
	until     time.Time // when the grace ends, while there are no streams
	elsewhere int       // how many other nodes they are on
}

// departure is a person whose last stream has ended.
type departure struct {
	topic *topic
	user  int64
	until time.Time
}

const (
	// grace is how long a user stays present without a stream: a reload or a change of transport makes no noise.
	grace = 3 * time.Second
	// graceOfRestart comes on top of the time after which a stream was told to come back.
	graceOfRestart = 5 * time.Second
)

// graceNow is the grace where s ends now.
func (s *Stream) graceNow() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing == chat.CloseRestart {
		return s.retry + graceOfRestart
	}
	return grace
}

// join counts a stream of v's in. Hub.mu is held.
func (h *Hub) join(t *topic, v chat.Viewer) {
	p := h.enter(t, v.User, v.Name)
	p.streams++
	if !p.here {
		p.here = true
		h.state(Statement{Kind: came, People: []Presence{{t.key, v.User, v.Name}}})
	}
}

// enter is the person that is a user in t; if nobody is yet, the room is told. Hub.mu is held.
func (h *Hub) enter(t *topic, user int64, name string) *person {
	p := t.people[user]
	if p == nil {
		p = &person{name: name}
		if t.people == nil {
			t.people = make(map[int64]*person)
		}
		t.people[user] = p
		i, _ := slices.BinarySearch(t.names, name)
		t.names = slices.Insert(t.names, i, name)
		e := chat.UserJoin(t.room, name)
		e.Except = user // they are in their own list
		h.announce(t, e)
	}
	return p
}

// leave counts a stream of v's out; its user_leave comes after the grace, by the clock. Hub.mu is held.
func (h *Hub) leave(t *topic, v chat.Viewer, grace time.Duration) {
	p := t.people[v.User]
	if p.streams--; p.streams == 0 {
		p.until = h.now().Add(grace)
		h.departures = append(h.departures, departure{t, v.User, p.until})
	}
}

// depart tells the rooms of those whose grace is over at now.
func (h *Hub) depart(now time.Time) {
	h.mu.Lock()
	defer h.unlockAndWake()
	h.departures = slices.DeleteFunc(h.departures, func(d departure) bool {
		if now.Before(d.until) {
			return false
		}
		// Whoever came back, and perhaps left again, has another entry or none.
		if p := d.topic.people[d.user]; p != nil && p.until.Equal(d.until) {
			h.expel(d.topic, d.user)
		}
		return true
	})
}

// expel has a user leave t who has no stream there any more on this node. Hub.mu is held.
func (h *Hub) expel(t *topic, user int64) {
	p := t.people[user]
	if p == nil || p.streams > 0 {
		return
	}
	if p.here {
		p.here = false
		h.state(Statement{Kind: left, People: []Presence{{t.key, user, p.name}}})
	}
	h.exit(t, user)
}

// exit tells the room that a user has left it, if they are on no node any more. Hub.mu is held.
func (h *Hub) exit(t *topic, user int64) {
	p := t.people[user]
	if p.here || p.elsewhere > 0 {
		return
	}
	delete(t.people, user)
	i, _ := slices.BinarySearch(t.names, p.name)
	t.names = slices.Delete(t.names, i, i+1)
	h.announce(t, chat.UserLeave(t.room, p.name))
	h.forgetIfUnused(t)
}

// announce tells a change of presence. Above chat.MaxListed joins and leaves are no longer told one by one; when the
// room is back at that size everybody gets the list anew. Hub.mu is held.
func (h *Hub) announce(t *topic, e chat.Ephemeral) {
	t.list.Store(nil)
	switch n := len(t.names); {
	case n == chat.MaxListed && e.Type == "user_leave":
		h.tellNow(t, chat.UserList(t.room, t.names, n))
	case n <= chat.MaxListed:
		h.tellNow(t, e)
	}
	t.changed = h.ring.seq
}

// userList is the room's user_list of now. Hub.mu is held, for reading at least.
func (t *topic) userList() *entry {
	if e := t.list.Load(); e != nil {
		return e
	}
	l := chat.UserList(t.room, t.names[:min(len(t.names), chat.MaxListed)], len(t.names))
	e := &entry{typ: l.Type, json: l.JSON}
	t.list.Store(e) // names change under the full lock only
	return e
}

// Users names the first chat.MaxListed of those who are in the room with that number, and counts all.
func (h *Hub) Users(room int64) (names []string, count int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if t := h.topics[chat.RoomTopic(room)]; t != nil {
		names, count = slices.Clone(t.names[:min(len(t.names), chat.MaxListed)]), len(t.names)
	}
	return names, count
}

// Online is how many users are in the room with that number.
func (h *Hub) Online(room int64) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if t := h.topics[chat.RoomTopic(room)]; t != nil {
		return len(t.names)
	}
	return 0
}

// siteTopic is who is online at all. It is the hub's own, and not in the log.
const siteTopic chat.Topic = -2

// UserOnline tells whether a user has a stream open, of any room or of none, or had one within the grace.
func (h *Hub) UserOnline(user int64) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	t := h.topics[siteTopic]
	return t != nil && t.people[user] != nil
}

// UsersOnline is how many users UserOnline is true of.
func (h *Hub) UsersOnline() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if t := h.topics[siteTopic]; t != nil {
		return len(t.names)
	}
	return 0
}
