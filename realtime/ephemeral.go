package realtime

import (
	"time"

	"tandem/chat"
)

// Publish tells whoever follows a topic now, on every node: a room's streams, or all of one user's by their inbox.
// Nothing is stored, and who is behind may never learn of it.
func (h *Hub) Publish(t chat.Topic, e chat.Ephemeral) { h.bus.Send(Message{Notice: &Notice{t, e}}) }

// notice puts what the bus brought into the ring, if anybody here follows it.
func (h *Hub) notice(n *Notice) {
	h.mu.Lock()
	defer h.unlockAndWake()
	if t := h.topics[n.Topic]; t != nil {
		h.tellNow(t, n.Event)
	}
}

// tellNow puts an ephemeral event into the ring, if anybody follows t. Hub.mu is held.
func (h *Hub) tellNow(t *topic, e chat.Ephemeral) {
	if len(t.subs) > 0 {
		h.put(&entry{at: h.pos, typ: e.Type, json: e.JSON, except: e.Except, topics: [2]*topic{t}})
	}
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
