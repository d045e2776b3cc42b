package realtime

import (
	"context"
	"slices"

	"tandem/chat"
)

// Invisible users have streams like everyone else but are present nowhere: not on this node and, because a node only
// announces who is present on it, not on any other. Every node knows them from the log, whose control events announce
// changes in order, so that a user who hides on one node does not appear on another even for a moment
// (docs/decisions/0026).

// hide makes a user invisible, or visible again: to others that looks like a leave or a join. The caller holds Hub.mu.
func (h *Hub) hide(user int64, invisible bool) {
	if invisible == h.invisible[user] {
		return
	}
	if !invisible {
		delete(h.invisible, user)
	} else {
		h.invisible[user] = true
	}
	for _, t := range h.topicsOf(user) {
		p := t.people[user]
		switch {
		case p == nil:
		case invisible:
			h.disappear(t, user, p)
		case p.streams > 0 && !p.here:
			h.appear(t, user, p)
		}
	}
}

// topicsOf returns the topics in which a user is present on this node, or would be if visible. The caller holds Hub.mu.
func (h *Hub) topicsOf(user int64) (topics []*topic) {
	add := func(t *topic) {
		if !slices.Contains(topics, t) {
			topics = append(topics, t)
		}
	}
	add(h.site)
	for _, s := range h.users[user] {
		for _, f := range s.follows {
			if f.present {
				add(f.topic)
			}
		}
	}
	for _, d := range h.departures {
		if d.user == user {
			add(d.topic)
		}
	}
	return topics
}

// hides reports whether a user is in t without being visible to others. The caller holds Hub.mu, at least for reading.
func (t *topic) hides(user int64) bool {
	p := t.people[user]
	return p != nil && !p.listed
}

// seenBy returns the first chat.MaxListed names in t as a user sees them, including themselves, and the count of all. The
// caller holds Hub.mu, at least for reading.
func (t *topic) seenBy(user int64) (users []string, count int) {
	users, count = t.names.first(chat.MaxListed), t.names.count
	if t.hides(user) {
		name := t.people[user].name
		i, _ := slices.BinarySearch(users, name)
		users = slices.Insert(users, i, name)
		users, count = users[:min(len(users), chat.MaxListed)], count+1
	}
	return users, count
}

// readInvisible reads from the log who is invisible. Changes after the current head arrive as events.
func (h *Hub) readInvisible(ctx context.Context) (map[int64]bool, error) {
	users, err := h.log.Invisible(ctx)
	if err != nil {
		return nil, err
	}
	invisible := make(map[int64]bool, len(users))
	for _, user := range users {
		invisible[user] = true
	}
	return invisible, nil
}

// knowInvisible makes a hub that shares its users with other nodes catch up with the log, so that a stream that opens
// here does not show a user who has just hidden on another node.
func (h *Hub) knowInvisible(ctx context.Context, state chat.LogState) {
	if h.node == "" {
		return
	}
	h.mu.RLock()
	behind := h.name == state.Name && h.pos < state.Head
	h.mu.RUnlock()
	if behind {
		h.reach(ctx, state.Head)
	}
}

// Reach returns when the hub has reached that position of the log, or the log cannot be read now.
func (h *Hub) Reach(ctx context.Context, id int64) { h.reach(ctx, id) }
