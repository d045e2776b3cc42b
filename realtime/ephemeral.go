package realtime

import (
	"time"

	"tandem/chat"
)

// Publish tells whoever follows a topic now, on every node: a room's streams, or all of one user's by their inbox.
// Nothing is stored, and who is behind may never learn of it.
func (h *Hub) Publish(t chat.Topic, e chat.Ephemeral) { h.bus.Notify(Notice{t, e}) }

// notice puts what the bus brought into the ring, if anybody here follows it.
func (h *Hub) notice(n Notice) {
	h.mu.Lock()
	t := h.topics[n.Topic]
	if t != nil && len(t.subs) > 0 {
		h.push(t, n.Event)
	}
	h.mu.Unlock()
	if t != nil {
		h.wake([]*topic{t})
	}
}

// push puts an ephemeral event into the ring. Hub.mu is held; the caller wakes the topic.
func (h *Hub) push(t *topic, e chat.Ephemeral) {
	h.ring.push(&entry{at: h.pos, typ: e.Type, json: e.JSON, except: e.Except, topics: [2]*topic{t}})
	h.ring.evict(h.forgetIfUnused)
}

// typist is a user who writes something in a room.
type typist struct{ room, user int64 }

// typingEvery is how often it is told that somebody types in a room.
const typingEvery = 3 * time.Second

// Typing tells a room that v writes something, unless it was told within the last 3 seconds.
func (h *Hub) Typing(room chat.Room, v chat.Viewer) {
	who, now := typist{room.ID, v.User}, h.now()
	h.mu.Lock()
	last, told := h.typing[who]
	told = told && now.Sub(last) < typingEvery
	if !told {
		h.typing[who] = now
	}
	h.mu.Unlock()
	if !told {
		h.Publish(chat.RoomTopic(room.ID), chat.UserTyping(room.Name, v))
	}
}

// forgetTypists drops those who may be told of again anyway.
func (h *Hub) forgetTypists(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for who, last := range h.typing {
		if now.Sub(last) >= typingEvery {
			delete(h.typing, who)
		}
	}
}
