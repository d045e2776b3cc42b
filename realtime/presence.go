package realtime

import (
	"slices"
	"sync/atomic"
	"time"

	"tandem/chat"
)

// presence is who is in a room. Guarded by Hub.mu.
type presence struct {
	room    string // its name; empty for a topic that is no room
	people  map[int64]*person
	names   []string              // sorted
	changed uint64                // the ring's seq at the last join or leave
	list    atomic.Pointer[entry] // the user_list of now; nil until somebody needs it
}

// person is a user with streams on a room, or with none for less than the grace.
type person struct {
	name    string
	streams int
	gone    time.Time // when the last one ended
}

// departure is a person whose last stream has ended.
type departure struct {
	topic *topic
	user  int64
	gone  time.Time
}

// grace is how long a user stays present without a stream: a reload or a change of transport makes no noise.
const grace = 3 * time.Second

// join counts a stream of v's in, tells the room if it is v's first, and reports whether it told. Hub.mu is
// held; the caller wakes the room.
func (h *Hub) join(t *topic, v chat.Viewer) (told bool) {
	p := t.people[v.User]
	if p == nil {
		p = &person{name: v.Name}
		if t.people == nil {
			t.people = make(map[int64]*person)
		}
		t.people[v.User] = p
		i, _ := slices.BinarySearch(t.names, v.Name)
		t.names = slices.Insert(t.names, i, v.Name)
		told = h.announce(t, chat.UserJoin(t.room, v.Name))
	}
	p.streams++
	return told
}

// leave counts a stream of v's out; its user_leave comes after the grace, by the clock. Hub.mu is held.
func (h *Hub) leave(t *topic, v chat.Viewer) {
	p := t.people[v.User]
	if p.streams--; p.streams == 0 {
		p.gone = h.now()
		h.departures = append(h.departures, departure{t, v.User, p.gone})
	}
}

// depart tells the rooms of those whose grace is over at now.
func (h *Hub) depart(now time.Time) {
	h.mu.Lock()
	var changed []*topic
	for len(h.departures) > 0 && now.Sub(h.departures[0].gone) >= grace {
		d := h.departures[0]
		h.departures = h.departures[1:]
		// Whoever came back, and perhaps left again, has another entry or none.
		p := d.topic.people[d.user]
		if p == nil || p.streams > 0 || !p.gone.Equal(d.gone) {
			continue
		}
		delete(d.topic.people, d.user)
		i, _ := slices.BinarySearch(d.topic.names, p.name)
		d.topic.names = slices.Delete(d.topic.names, i, i+1)
		if h.announce(d.topic, chat.UserLeave(d.topic.room, p.name)) {
			changed = append(changed, d.topic)
		}
		h.forgetIfUnused(d.topic)
	}
	h.mu.Unlock()
	h.wake(changed)
}

// announce puts a change of presence into the ring. Above chat.MaxListed joins and leaves are no longer told one
// by one; when the room is back at that size everybody gets the list anew. It reports whether there is
// something to send. Hub.mu is held.
func (h *Hub) announce(t *topic, e chat.Ephemeral) bool {
	t.list.Store(nil)
	n := len(t.names)
	switch {
	case n == chat.MaxListed && e.Type == "user_leave":
		e = chat.UserList(t.room, t.names, n)
	case n > chat.MaxListed:
		t.changed = h.ring.seq
		return false
	}
	h.push(t, e)
	t.changed = h.ring.seq
	return true
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
