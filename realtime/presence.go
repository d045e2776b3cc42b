package realtime

import (
	"slices"
	"sync/atomic"
	"time"

	"tandem/chat"
)

// presence is who is in a topic, on any node. It is empty while it is not needed (see topic.needed). Guarded by Hub.mu.
type presence struct {
	room    string // the room's name; empty for the whole site, and for topics that are not rooms
	people  map[int64]*person
	here    int // how many people are present on this node
	names   names
	changed uint64                // the ring's seq at the last join or leave
	list    atomic.Pointer[entry] // the current user_list; nil until it is needed
}

// person is a user who is present on some node, or is invisible with streams here.
type person struct {
	name      string
	streams   int        // on this node
	departure *departure // of their last stream, while there are none
	elsewhere int        // on how many other nodes they are
	here      bool       // present on this node: with streams here, now or within the grace, and not invisible
	listed    bool       // they are in names: here, or elsewhere
}

// departure is a person whose last stream has ended.
type departure struct {
	topic *topic
	user  int64
	ended time.Time
	until time.Time // when the grace ends
}

const (
	// grace is how long a user stays present without a stream, so that a reload or a change of transport is not
	// announced.
	grace = 3 * time.Second
	// graceOfRestart is added to the time after which a stream was told to reconnect.
	graceOfRestart = 5 * time.Second
)

// graceNow returns the grace if s ends now.
func (s *Stream) graceNow() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing == chat.CloseRestart {
		return s.retry + graceOfRestart
	}
	return grace
}

// join counts a stream of v in. The caller holds Hub.mu.
func (h *Hub) join(t *topic, v chat.Viewer) {
	p := t.person(v.User, v.Name)
	p.streams++
	p.departure = nil
	if !p.here && !h.invisible[v.User] {
		h.appear(t, v.User, p)
	}
}

// person returns a user's person in t, creating it if needed. The caller holds Hub.mu.
func (t *topic) person(user int64, name string) *person {
	p := t.people[user]
	if p == nil {
		p = &person{name: name}
		if t.people == nil {
			t.people = make(map[int64]*person)
		}
		t.people[user] = p
	}
	return p
}

// appear makes a user present in t on this node. The caller holds Hub.mu.
func (h *Hub) appear(t *topic, user int64, p *person) {
	p.here = true
	t.here++
	h.review(t, user, p)
	one := Presence{t.key, user, p.name}
	h.sum += one.hash()
	h.sendPresence(PresenceUpdate{Kind: came, People: []Presence{one}})
}

// disappear undoes appear, and may be called without it. The caller holds Hub.mu.
func (h *Hub) disappear(t *topic, user int64, p *person) {
	if p.here {
		p.here = false
		t.here--
		one := Presence{t.key, user, p.name}
		h.sum -= one.hash()
		h.sendPresence(PresenceUpdate{Kind: left, People: []Presence{one}})
		if t == h.site {
			h.noteLastSeen(user, p)
		}
	}
	h.review(t, user, p)
}

// review announces in t if a user has come, or is no longer on any node, and drops unneeded persons. The caller holds
// Hub.mu.
func (h *Hub) review(t *topic, user int64, p *person) {
	if present := p.here || p.elsewhere > 0; present != p.listed {
		p.listed = present
		e := chat.UserJoin(t.room, p.name)
		if present {
			t.names.insert(p.name)
		} else {
			t.names.remove(p.name)
			e = chat.UserLeave(t.room, p.name)
		}
		e.Except = user // they are in their own list
		h.announce(t, e)
	}
	if !p.listed && p.streams == 0 {
		delete(t.people, user)
	}
	h.forgetIfUnused(t)
}

// leave counts a stream of v out; the clock announces user_leave after the grace. The caller holds Hub.mu.
func (h *Hub) leave(t *topic, v chat.Viewer, grace time.Duration) {
	p := t.people[v.User]
	if p.streams--; p.streams > 0 {
		return
	}
	if !p.here { // there is nobody to notify
		h.review(t, v.User, p)
		return
	}
	ended := h.now()
	p.departure = &departure{t, v.User, ended, ended.Add(grace)}
	h.departures = append(h.departures, p.departure)
}

// depart announces the users whose grace is over at now.
func (h *Hub) depart(now time.Time) {
	h.mu.Lock()
	defer h.unlockAndWake()
	h.departures = slices.DeleteFunc(h.departures, func(d *departure) bool {
		if now.Before(d.until) {
			return false
		}
		// A user who came back, and perhaps left again, has a different departure or none.
		if p := d.topic.people[d.user]; p != nil && p.departure == d {
			h.expel(d.topic, d.user)
			p.departure = nil
		}
		return true
	})
}

// expel removes a user without streams in t on this node. The caller holds Hub.mu.
func (h *Hub) expel(t *topic, user int64) {
	if p := t.people[user]; p != nil && p.streams == 0 {
		h.disappear(t, user, p)
	}
}

// announce announces a change of presence. Above chat.MaxListed users, joins and leaves are not announced one by one;
// when the room is back at that size, everyone gets a new list. The caller holds Hub.mu.
func (h *Hub) announce(t *topic, e chat.Ephemeral) {
	t.list.Store(nil)
	switch n := t.names.count; {
	case n == chat.MaxListed && e.Type == "user_leave":
		h.publishNow(t, chat.UserList(t.room, t.names.first(n), n))
	case n <= chat.MaxListed:
		h.publishNow(t, e)
	}
	t.changed = h.ring.seq
}

// userList returns the room's current user_list as a user sees it. The caller holds Hub.mu, at least for reading.
func (t *topic) userList(user int64) *entry {
	if t.hides(user) {
		return t.newUserList(user)
	}
	if e := t.list.Load(); e != nil {
		return e
	}
	e := t.newUserList(user)
	t.list.Store(e) // names only change under the full lock
	return e
}

func (t *topic) newUserList(user int64) *entry {
	users, count := t.seenBy(user)
	l := chat.UserList(t.room, users, count)
	return &entry{typ: l.Type, json: l.JSON}
}

// Users returns the first chat.MaxListed users in the room with that number, as a user sees it, and the count of all.
func (h *Hub) Users(room, user int64) (names []string, count int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	key := chat.RoomTopic(room)
	t := h.topics[key]
	if t == nil || !t.needed() {
		t = &topic{key: key} // for this call
		h.gather(t)
	}
	return t.seenBy(user)
}

// Online returns how many users are in the room with that number, as a user sees it.
func (h *Hub) Online(room, user int64) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	key := chat.RoomTopic(room)
	t := h.topics[key]
	switch {
	case t == nil || !t.needed():
		return h.elsewhere(key)
	case t.hides(user):
		return t.names.count + 1
	}
	return t.names.count
}

// siteTopic is presence on the whole site. It belongs to the hub and is not in the log.
const siteTopic chat.Topic = -2

// UserOnline reports whether a user has an open stream, of any room or of none, or had one within the grace, as viewer
// sees it.
func (h *Hub) UserOnline(user, viewer int64) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.site.people[user]
	return p != nil && (p.listed || user == viewer)
}

// UsersOnline returns the users for whom UserOnline is true. It is never nil.
func (h *Hub) UsersOnline(viewer int64) []int64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	users := make([]int64, 0, len(h.site.people))
	for user, p := range h.site.people {
		if p.listed || user == viewer {
			users = append(users, user)
		}
	}
	return users
}
