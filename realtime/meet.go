package realtime

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// statePace is between two statements of all of a node's people. Nodes that ask meanwhile are answered together.
	statePace = 250 * time.Millisecond
	// meetWithin is how long a node that starts waits for the others' first answers.
	meetWithin = 2 * time.Second
)

// owed is what a node is about to state: all its people.
type owed struct {
	timer *time.Timer // nil where nothing is owed
	ask   bool        // it asks the others for theirs, too
	to    []string    // the nodes that have asked
}

// introduce is called when this node begins to hear the others.
func (h *Hub) introduce() { h.owe(true, "") }

// owe has this node state all its people, at once or when statePace is over: to whom asks, if that is not empty, and to
// everybody else.
func (h *Hub) owe(asking bool, to string) {
	if h.node == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owed.ask = h.owed.ask || asking
	if to != "" && !slices.Contains(h.owed.to, to) {
		h.owed.to = append(h.owed.to, to)
	}
	if h.owed.timer == nil {
		h.owed.timer = time.AfterFunc(statePace-h.now().Sub(h.stated), func() { h.do("stating who is here", h.stateAll) })
	}
}

// stateAll states what is owed. Who has asked also learns of the nodes that have said bye before: their people still
// count for a while, and nobody else is left to say so. All of it is sent under the lock, in order with who comes and
// who leaves.
func (h *Hub) stateAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	due, now := h.owed, h.now()
	h.owed, h.stated = owed{}, now
	people, _ := h.here()
	h.state(Statement{Kind: all, People: people})
	if due.ask {
		h.state(Statement{Kind: ask})
	}
	for _, asked := range due.to {
		if h.leaving.After(now) {
			h.state(Statement{Kind: bye, Hold: h.leaving.Sub(now), Of: asked})
		}
		for name, n := range h.nodes {
			if n.until.After(now) && name != asked {
				h.state(Statement{Node: name, Kind: bye, Hold: n.until.Sub(now), Of: asked, People: n.list()})
			}
		}
	}
}

// list are the people of a node. Hub.mu is held.
func (n *node) list() (people []Presence) {
	for p := range n.people {
		people = append(people, p)
	}
	return people
}

// noteReached notes how many nodes the last statements went to.
func (h *Hub) noteReached(reached int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reached = reached
	h.metAll()
}

// metAll ends the start of a node if all the others have stated their people. Hub.mu is held.
func (h *Hub) metAll() {
	listed := 1 // this node
	for _, n := range h.nodes {
		if n.listed {
			listed++
		}
	}
	if h.reached > 0 && listed >= h.reached {
		h.meet()
	}
}

// beginToMeet has those who want to know who is present on the other nodes wait for them. Hub.mu is held, or h is new.
func (h *Hub) beginToMeet() {
	met := make(chan struct{})
	meet := sync.OnceFunc(func() { close(met) })
	h.met, h.meet = met, meet
	if h.node == "" || h.draining {
		h.meet()
	} else {
		time.AfterFunc(meetWithin, func() { h.do("meeting the other nodes", meet) })
	}
}

// forgetOthers is called when this node has heard nothing for a while. It has no streams then, so nobody is told.
func (h *Hub) forgetOthers() {
	if h.node == "" {
		return
	}
	h.mu.Lock()
	for _, n := range h.nodes {
		for p := range n.people {
			h.part(n, p)
		}
	}
	clear(h.nodes)
	h.heard, h.reached = h.now(), 0
	h.beginToMeet()
	h.unlockAndWake()
}

// meeting is closed when the hub has met the other nodes.
func (h *Hub) meeting() <-chan struct{} {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.met
}

// Met tells whether the hub knows who is present on the other nodes. Before that its lists may lack somebody.
func (h *Hub) Met() bool {
	select {
	case <-h.meeting():
		return true
	default:
		return false
	}
}

// AwaitOthers returns when the hub has met the other nodes, or ctx ends.
func (h *Hub) AwaitOthers(ctx context.Context) error {
	select {
	case <-h.meeting():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
