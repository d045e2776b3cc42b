package realtime

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"time"

	"tandem/chat"
)

// Presence across nodes: each node announces who came and who left, and every few seconds a checksum over all its
// users. A node that computes a different checksum asks for the whole list. A node that starts to receive from the
// others, at its start and after each interruption, sends its list and asks for theirs: either side may have missed
// the other. Nothing is stored outside the nodes, so a Valkey that was down, or comes back empty, needs no repair.

// PresenceUpdate is a node's announcement of who is present on it.
type PresenceUpdate struct {
	Node   string
	Kind   string        // one of the constants below
	People []Presence    `json:",omitempty"` // for all, came and left, and for a bye repeated by another node
	List   int64         `json:",omitempty"` // for listed, and for came if it is a page: which list
	Pages  int           `json:",omitempty"` // for listed: how many pages the list has
	Sum    uint64        `json:",omitempty"` // for alive
	Of     string        `json:",omitempty"` // for ask and bye: the node it is addressed to; empty for all
	Hold   time.Duration `json:",omitempty"` // for bye: how long its users still count
}

// Presence is a user in a topic.
type Presence struct {
	Topic chat.Topic
	User  int64
	Name  string
}

// The kinds of presence updates.
const (
	came  = "came"
	left  = "left"
	alive = "alive"
	all   = "all"
	// listed ends a list that was sent in pages, as came, which nodes of earlier versions understand.
	listed = "listed"
	ask    = "ask"
	bye    = "bye"
)

const (
	// aliveEvery is how often a node announces that it is alive.
	aliveEvery = 5 * time.Second
	// deadAfter is how long after a node's last message its users leave.
	deadAfter = 15 * time.Second
	// deafAfter is how long after last receiving its own message a node must assume that it receives nothing.
	deafAfter = 3 * aliveEvery / 2
)

// node is another node, as it has announced itself. Guarded by Hub.mu.
type node struct {
	people people
	sum    uint64    // over people
	list   list      // the pages received so far
	listed bool      // has sent the list of all its users
	heard  time.Time // its last message
	until  time.Time // after its bye: when its users leave; else zero
}

// list is a node's list of its users that arrives in pages.
type list struct {
	number int64
	pages  int
	people people
}

// add adds a page.
func (l *list) add(st *PresenceUpdate) {
	if l.number != st.List {
		*l = list{number: st.List}
	}
	l.pages++
	for _, p := range st.People {
		l.people.insert(p)
	}
}

// complete reports whether st ends the list and every page has arrived.
func (l *list) complete(st *PresenceUpdate) bool { return l.number == st.List && l.pages == st.Pages }

// hash is the same on every node. The user's number identifies them, so the name is left out.
func (p Presence) hash() uint64 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(p.Topic))
	binary.BigEndian.PutUint64(b[8:], uint64(p.User))
	f := fnv.New64a()
	_, _ = f.Write(b[:]) // never fails (hash.Hash)
	return f.Sum64()
}

// sendPresence sends a presence update of this node if there may be others.
func (h *Hub) sendPresence(st PresenceUpdate) {
	if h.node != "" {
		st.Node = cmp.Or(st.Node, h.node)
		h.bus.Send(Message{Presence: &st})
	}
}

// here returns everyone present on this node. The caller holds Hub.mu, at least for reading.
func (h *Hub) here() (people []Presence) {
	for _, t := range h.topics {
		for user, p := range t.people {
			if p.here {
				people = append(people, Presence{t.key, user, p.name})
			}
		}
	}
	return people
}

// sayAlive is called by a clock.
func (h *Hub) sayAlive(time.Time) {
	h.mu.RLock()
	defer h.mu.RUnlock() // a change announced in between would make the checksum wrong
	h.sendPresence(PresenceUpdate{Kind: alive, Sum: h.sum})
}

// receivePresence handles a presence update from the bus.
func (h *Hub) receivePresence(st *PresenceUpdate) {
	now := h.now()
	if st.Node == h.node {
		if st.Kind == alive {
			h.mu.Lock()
			h.heard = now
			h.mu.Unlock()
		}
		return
	}
	if st.Of != "" && st.Of != h.node {
		return
	}
	if st.Kind == ask {
		h.owe(false, st.Node)
		return
	}
	if h.note(st, now) {
		h.sendPresence(PresenceUpdate{Kind: ask, Of: st.Node})
	}
}

// note applies another node's presence update, and reports whether to ask it for all its users.
func (h *Hub) note(st *PresenceUpdate, now time.Time) (asking bool) {
	h.mu.Lock()
	defer h.unlockAndWake()
	n := h.nodes[st.Node]
	if n == nil {
		n = &node{}
		h.nodes[st.Node] = n
	}
	n.heard = now
	switch st.Kind {
	case bye:
		n.until = now.Add(st.Hold)
		fallthrough
	case came:
		for _, p := range st.People {
			h.arrive(n, p)
		}
		if st.List != 0 {
			n.list.add(st)
		}
	case left:
		for _, p := range st.People {
			h.part(n, p)
		}
	case all:
		var stated people
		for _, p := range st.People {
			stated.insert(p)
			h.arrive(n, p)
		}
		h.listedAll(n, &stated)
	case listed:
		if n.list.complete(st) { // else the next checksum differs
			h.listedAll(n, &n.list.people)
		}
		n.list = list{}
	case alive:
		asking = n.sum != st.Sum
	}
	return asking
}

// listedAll removes n's users that are not in its list. The caller holds Hub.mu.
func (h *Hub) listedAll(n *node, stated *people) {
	for _, p := range n.people.all() {
		if !stated.has(p) {
			h.part(n, p)
		}
	}
	n.listed = true
	h.metAll()
}

// arrive records that p is present on n. The caller holds Hub.mu.
func (h *Hub) arrive(n *node, p Presence) {
	if !n.people.insert(p) {
		return
	}
	n.sum += p.hash()
	if t := h.topics[p.Topic]; t != nil && t.needed() {
		there := t.person(p.User, p.Name)
		there.elsewhere++
		h.review(t, p.User, there)
	}
}

// part records that p is no longer present on n. The caller holds Hub.mu.
func (h *Hub) part(n *node, p Presence) {
	if !n.people.remove(p) {
		return
	}
	n.sum -= p.hash()
	if t := h.topics[p.Topic]; t != nil && t.needed() {
		there := t.people[p.User]
		there.elsewhere--
		h.review(t, p.User, there)
	}
}

// vacate empties a deleted room. Nobody is left to notify, and the other nodes do the same. The caller holds Hub.mu.
func (h *Hub) vacate(room chat.Topic) {
	for _, n := range h.nodes {
		for _, p := range slices.Collect(n.people.in(room)) {
			n.people.remove(p)
			n.sum -= p.hash()
		}
	}
	if t := h.topics[room]; t != nil {
		for user, p := range t.people {
			if p.here {
				h.sum -= Presence{Topic: room, User: user}.hash()
			}
		}
		t.presence = presence{}
	}
}

// gather adds everyone who is in t on the other nodes, when that begins to be needed. Nobody is notified. The caller
// holds Hub.mu, at least for reading if t is its own.
func (h *Hub) gather(t *topic) {
	var names []string
	for _, n := range h.nodes {
		for p := range n.people.in(t.key) {
			there := t.person(p.User, p.Name)
			if there.elsewhere++; !there.listed {
				there.listed = true
				names = append(names, p.Name)
			}
		}
	}
	slices.Sort(names)
	t.names.fill(names)
}

// elsewhere counts the users who are in a topic on the other nodes. The caller holds Hub.mu, at least for reading.
func (h *Hub) elsewhere(key chat.Topic) int {
	var users []int64
	for _, n := range h.nodes {
		for p := range n.people.in(key) {
			users = append(users, p.User)
		}
	}
	slices.Sort(users)
	return len(slices.Compact(users))
}

// expireNodes removes the users of nodes that have been silent for too long, or said bye. A node that does not receive its own
// messages receives nobody's, so it declares no node dead; once it receives again, every node gets time to announce
// itself.
func (h *Hub) expireNodes(now time.Time) {
	if h.node == "" {
		return
	}
	h.mu.Lock()
	defer h.unlockAndWake()
	if now.Sub(h.heard) > deafAfter {
		h.deaf = now
	}
	for id, n := range h.nodes {
		silent := now.Sub(n.heard) > deadAfter && now.Sub(h.deaf) > deadAfter
		if silent || !n.until.IsZero() && now.After(n.until) {
			for _, p := range n.people.all() {
				h.part(n, p)
			}
			delete(h.nodes, id)
		}
	}
}
