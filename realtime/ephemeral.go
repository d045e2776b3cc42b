package realtime

import (
	"time"

	"tandem/chat"
)

// Publish sends an ephemeral event to the followers of a topic on every node: to a room's streams, or by the inbox to
// all of a user's. It is not stored, and a stream that is behind may miss it.
func (h *Hub) Publish(t chat.Topic, e chat.Ephemeral) {
	h.bus.Send(Message{Notice: &Notice{Topic: t, Event: e}})
}

// PublishAll is Publish for several topics: a stream that follows more than one of them receives the event once.
func (h *Hub) PublishAll(topics []chat.Topic, e chat.Ephemeral) {
	if len(topics) > 0 {
		h.bus.Send(Message{Notice: &Notice{Topic: topics[0], Also: topics[1:], Event: e}})
	}
}

// notice puts an ephemeral event from the bus into the ring if anybody here follows its topic.
func (h *Hub) notice(n *Notice) {
	h.mu.Lock()
	defer h.unlockAndWake()
	topics := make([]*topic, 0, 1)
	for _, key := range append([]chat.Topic{n.Topic}, n.Also...) {
		if t := h.topics[key]; t != nil && len(t.subs) > 0 {
			topics = append(topics, t)
		}
	}
	if len(topics) > 0 {
		h.put(&entry{at: h.pos, typ: n.Event.Type, json: n.Event.JSON, except: n.Event.Except, topics: topics})
	}
}

// publishNow puts an ephemeral event into the ring if anybody follows t. The caller holds Hub.mu.
func (h *Hub) publishNow(t *topic, e chat.Ephemeral) {
	if len(t.subs) > 0 {
		h.put(&entry{at: h.pos, typ: e.Type, json: e.JSON, except: e.Except, topics: []*topic{t}})
	}
}

// typist is a user who is typing in a room.
type typist struct{ room, user int64 }

// typingEvery is how often a typing user is announced in a room.
const typingEvery = 3 * time.Second

// Typing announces that v is typing in a room, unless that was announced within the last 3 seconds or v is invisible.
func (h *Hub) Typing(room chat.Room, v chat.Viewer) {
	who, now := typist{room.ID, v.User}, h.now()
	h.mu.Lock()
	last, announced := h.typing[who]
	announced = announced && now.Sub(last) < typingEvery || h.invisible[v.User]
	if !announced {
		h.typing[who] = now
	}
	h.mu.Unlock()
	if !announced {
		h.Publish(chat.RoomTopic(room.ID), chat.UserTyping(room.Name, v))
	}
}

// forgetTypists drops users who may be announced again anyway.
func (h *Hub) forgetTypists(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for who, last := range h.typing {
		if now.Sub(last) >= typingEvery {
			delete(h.typing, who)
		}
	}
}
