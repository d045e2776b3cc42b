package realtime

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// statePace is the minimum time between two lists of all of a node's users. Nodes that ask meanwhile get one
	// answer together.
	statePace = 250 * time.Millisecond
	// meetWithin is how long a starting node waits for the others' first answers.
	meetWithin = 2 * time.Second
)

// owed is a list of all of a node's users that is still to be sent.
type owed struct {
	timer *time.Timer // nil if nothing is pending
	ask   bool        // also ask the others for theirs
	to    []string    // the nodes that asked
}

// introduce is called when this node starts to receive from the others.
func (h *Hub) introduce() { h.owe(true, "") }

// owe schedules a list of all this node's users, now or when statePace has passed: to the node that asks, or to
// all if that is empty.
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

// stateAll sends the list that is owed. Nodes that asked also learn which nodes said bye before: their users still
// count for a while, and nobody else can tell. Everything is sent under the lock, in order with joins and leaves.
func (h *Hub) stateAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	due, now := h.owed, h.now()
	h.owed, h.stated = owed{}, now
	h.sendList(h.here())
	if due.ask {
		h.sendPresence(PresenceUpdate{Kind: ask})
	}
	for _, asked := range due.to {
		if h.leaving.After(now) {
			h.sendPresence(PresenceUpdate{Kind: bye, Hold: h.leaving.Sub(now), Of: asked})
		}
		for name, n := range h.nodes {
			if n.until.After(now) && name != asked {
				bye := PresenceUpdate{Node: name, Kind: bye, Hold: n.until.Sub(now), Of: asked}
				for page := range slices.Chunk(n.people.all(), pageOf) {
					bye.People = page
					h.sendPresence(bye)
				}
			}
		}
	}
}

// pageOf is how many users a message lists at most: about 60 KB, which Valkey passes on in a millisecond or two.
const pageOf = 1000

// sendList sends the list of all this node's users. The caller holds Hub.mu.
func (h *Hub) sendList(people []Presence) {
	if len(people) <= pageOf {
		h.sendPresence(PresenceUpdate{Kind: all, People: people})
		return
	}
	h.lists++
	pages := 0
	for page := range slices.Chunk(people, pageOf) {
		h.sendPresence(PresenceUpdate{Kind: came, People: page, List: h.lists})
		pages++
	}
	h.sendPresence(PresenceUpdate{Kind: listed, List: h.lists, Pages: pages})
}

// noteReached records how many nodes the last presence updates reached.
func (h *Hub) noteReached(reached int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reached = reached
	h.metAll()
}

// metAll ends the start phase of a node once all others have sent their lists. The caller holds Hub.mu.
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

// beginToMeet makes those who need to know who is present on the other nodes wait for them. The caller holds Hub.mu, or
// h is new.
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

// forgetOthers is called when this node has received nothing for a while. It then has no streams, so nobody is
// notified.
func (h *Hub) forgetOthers() {
	if h.node == "" {
		return
	}
	h.mu.Lock()
	for _, n := range h.nodes {
		for _, p := range n.people.all() {
			h.part(n, p)
		}
	}
	clear(h.nodes)
	h.heard, h.reached = h.now(), 0
	h.beginToMeet()
	h.unlockAndWake()
}

// meeting returns a channel that is closed when the hub has met the other nodes.
func (h *Hub) meeting() <-chan struct{} {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.met
}

// Met reports whether the hub knows who is present on the other nodes. Before that, its lists may be incomplete.
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
