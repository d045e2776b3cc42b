package realtime

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"time"

	"tandem/chat"
)

// Who is present on several nodes: each node says who has come to it and who has left it, and every few seconds a sum
// over all who are there. Whoever finds another sum asks for the whole list. A node that begins to hear the others, at
// its start and after each interruption, states its own list and asks for theirs: either side may have missed the other.
// Nothing of it is kept outside the nodes, so a Valkey that was away, or comes back empty, has nothing to mend.

// Statement is what a node says of who is present on it.
type Statement struct {
	Node   string
	Kind   string        // one of the constants below
	People []Presence    `json:",omitempty"` // of all, came and left; of a bye that another node repeats
	Sum    uint64        `json:",omitempty"` // of alive
	Of     string        `json:",omitempty"` // of ask and bye: the node that is spoken to; empty for everybody
	Hold   time.Duration `json:",omitempty"` // of bye: how long its people still count
}

// Presence is a user in a topic.
type Presence struct {
	Topic chat.Topic
	User  int64
	Name  string
}

// The kinds of statements.
const (
	came  = "came"
	left  = "left"
	alive = "alive"
	all   = "all"
	ask   = "ask"
	bye   = "bye"
)

const (
	// aliveEvery is how often a node says that it is alive.
	aliveEvery = 5 * time.Second
	// deadAfter is how long after a node's last word its people are gone.
	deadAfter = 15 * time.Second
	// deafAfter is how long after a node last heard itself it must think that it hears nobody.
	deafAfter = 3 * aliveEvery / 2
)

// node is another node, as it has stated itself. Guarded by Hub.mu.
type node struct {
	people map[Presence]struct{}
	listed bool      // it has stated all its people
	heard  time.Time // its last word
	until  time.Time // after its bye: when its people are gone; else zero
}

// hash is the same on every node. The name says nothing that the user does not.
func (p Presence) hash() uint64 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(p.Topic))
	binary.BigEndian.PutUint64(b[8:], uint64(p.User))
	f := fnv.New64a()
	_, _ = f.Write(b[:]) // never fails (hash.Hash)
	return f.Sum64()
}

// state sends a statement of this node's, if there may be others.
func (h *Hub) state(st Statement) {
	if h.node != "" {
		st.Node = cmp.Or(st.Node, h.node)
		h.bus.Send(Message{Statement: &st})
	}
}

// here are all who are present on this node. Hub.mu is held, for reading at least.
func (h *Hub) here() (people []Presence, sum uint64) {
	for _, t := range h.topics {
		for user, p := range t.people {
			if p.here {
				one := Presence{t.key, user, p.name}
				people = append(people, one)
				sum += one.hash()
			}
		}
	}
	return people, sum
}

// sayAlive is called by a clock.
func (h *Hub) sayAlive(time.Time) {
	h.mu.RLock()
	defer h.mu.RUnlock() // a change that is stated in between would make the sum a wrong one
	_, sum := h.here()
	h.state(Statement{Kind: alive, Sum: sum})
}

// hear takes a statement from the bus.
func (h *Hub) hear(st *Statement) {
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
		h.state(Statement{Kind: ask, Of: st.Node})
	}
}

// note takes what another node says of its people, and reports whether it must be asked for all of them.
func (h *Hub) note(st *Statement, now time.Time) (asking bool) {
	h.mu.Lock()
	defer h.unlockAndWake()
	n := h.nodes[st.Node]
	if n == nil {
		n = &node{people: make(map[Presence]struct{})}
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
	case left:
		for _, p := range st.People {
			h.part(n, p)
		}
	case all:
		stated := make(map[Presence]struct{}, len(st.People))
		for _, p := range st.People {
			stated[p] = struct{}{}
			h.arrive(n, p)
		}
		for p := range n.people {
			if _, still := stated[p]; !still {
				h.part(n, p)
			}
		}
		n.listed = true
		h.metAll()
	case alive:
		var sum uint64
		for p := range n.people {
			sum += p.hash()
		}
		asking = sum != st.Sum
	}
	return asking
}

// arrive notes that p is present on n. Hub.mu is held.
func (h *Hub) arrive(n *node, p Presence) {
	if _, known := n.people[p]; !known {
		n.people[p] = struct{}{}
		h.enter(h.topic(p.Topic), p.User, p.Name).elsewhere++
	}
}

// part notes that p is no longer present on n. Hub.mu is held.
func (h *Hub) part(n *node, p Presence) {
	if _, known := n.people[p]; !known {
		return
	}
	delete(n.people, p)
	if t := h.topics[p.Topic]; t != nil && t.people[p.User] != nil && t.people[p.User].elsewhere > 0 {
		t.people[p.User].elsewhere--
		h.exit(t, p.User)
	}
}

// bury has the people leave of nodes that have said nothing for long, or bye. A node that does not hear itself hears
// nobody, so it declares nobody dead, and after it hears again everybody gets the time to say so.
func (h *Hub) bury(now time.Time) {
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
			for p := range n.people {
				h.part(n, p)
			}
			delete(h.nodes, id)
		}
	}
}
