package realtime

import (
	"slices"

	"tandem/chat"
)

// deliver puts events into the ring, moves the position to upto, applies changes to who follows what, and wakes the
// followers. The caller holds h.in.
func (h *Hub) deliver(events []chat.Event, upto int64) {
	defer h.do("notifying the followers of the log", func() { h.delivered(h.name, events, upto) })
	controls := h.controls(events)
	h.mu.Lock()
	defer h.unlockAndWake()
	for i := range events {
		e := &events[i]
		if e.ID <= h.pos {
			continue // a duplicate from the bus
		}
		h.pos = e.ID
		var c chat.ControlEvent
		if e.Topic == chat.Control {
			c, controls = controls[0], controls[1:]
		}
		if !h.do("an event of the log", func() { h.take(e, c) }) {
			h.distrust(e)
		}
	}
	h.pos = upto
}

// take applies one event; c is its content if it is a control event. The caller holds Hub.mu.
func (h *Hub) take(e *chat.Event, c chat.ControlEvent) {
	if e.Topic == chat.Control {
		h.endStreams(c)
		if c.Invisible != nil {
			h.hide(c.User, *c.Invisible)
		}
		if c.Kept != nil && c.Kept.Room != 0 {
			h.floors[c.Kept.Room] = max(h.floors[c.Kept.Room], c.Kept.Floor)
		}
		if n := len(c.Expired); n > 0 {
			h.ring.forget(slices.Max(c.Expired), h.forgetIfUnused)
		}
		if change, ok := changeByControl(e.ID, c); ok {
			h.apply(change)
		}
		return
	}
	if e.Type == chat.TypeMessageDeleted {
		h.scrub(*e)
	}
	n := &entry{id: e.ID, at: e.ID, typ: e.Type, json: e.JSON(), topics: []*topic{h.topic(e.Topic)}}
	if e.Also != chat.NoTopic {
		n.topics = append(n.topics, h.topic(e.Also))
	}
	if e.Type == chat.TypeChatMessage {
		h.meter.posts.Add(1)
	}
	h.put(n)
	if change, ok := changeBy(e); ok {
		h.apply(change)
	}
}

// distrust is called if take panicked half way. The ring may lack e, so every stream reads the log instead. Its changes
// to who follows what may be incomplete, so the affected clients reconnect and are checked again. The caller holds
// Hub.mu.
func (h *Hub) distrust(e *chat.Event) {
	for s := range h.streams.all() {
		concerned := e.Topic == chat.Control || len(s.follows) == 0 || s.all // follows all of its user's rooms, or is being opened
		for i := 0; i < len(s.follows) && !concerned; i++ {
			key := s.follows[i].topic.key
			concerned = key == e.Topic || key == e.Also
		}
		if concerned {
			s.sendBack()
		}
	}
	h.emptyRing()
}

// put puts an entry into the ring and marks its topics' streams to be woken. The caller holds Hub.mu.
func (h *Hub) put(e *entry) {
	h.ring.push(e)
	for _, t := range e.topics {
		if !t.dirty && len(t.subs) > 0 {
			t.dirty = true
			h.dirty = append(h.dirty, t)
		}
	}
	h.ring.evict(h.forgetIfUnused)
}

// unlockAndWake releases h.mu, then wakes the affected streams. Waking them earlier would only make them block on the
// lock.
func (h *Hub) unlockAndWake() {
	dirty := h.dirty
	h.dirty = nil
	for _, t := range dirty {
		t.dirty = false
	}
	h.mu.Unlock()
	if len(dirty) == 0 {
		return
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	var some [256]*Stream
	roused := some[:0]
	for _, t := range dirty {
		for _, s := range t.subs {
			if s.rouse() {
				roused = append(roused, s)
			}
			if len(roused) == len(some) { // start writing to a large room's first streams while waking the others
				h.sweeps.add(roused...)
				roused = some[:0]
			}
		}
	}
	h.sweeps.add(roused...)
}

// controls parses the new control events among these, and returns after Control has been called for them: a stream that
// is being opened is either attached, and ended by deliver, or its credentials are checked after they were dropped from
// the caches. The caller holds h.in.
func (h *Hub) controls(events []chat.Event) (found []chat.ControlEvent) {
	last := h.pos
	for _, e := range events {
		if e.ID <= last {
			continue
		}
		last = e.ID
		if e.Topic != chat.Control {
			continue
		}
		c, err := chat.ParseControl(e)
		if err != nil {
			h.logger.Error("cannot read a control event", "id", e.ID, "error", err)
		}
		if !h.do("announcing a control event", func() { h.control(c) }) {
			h.do("forgetting credentials", h.renamed) // dropping all of them is safe
		}
		found = append(found, c)
	}
	return found
}

// endStreams ends the streams whose credentials have ended, before later events are in the ring. The caller holds h.mu.
func (h *Hub) endStreams(c chat.ControlEvent) {
	for s := range h.streams.all() {
		if c.Ends(s.viewer) {
			s.over = true
			s.Close(c.Reason, 0)
		}
	}
}

// topic returns the topic with that key, creating it if needed. The caller holds h.mu.
func (h *Hub) topic(key chat.Topic) *topic {
	t := h.topics[key]
	if t == nil {
		t = &topic{key: key}
		h.topics[key] = t
	}
	return t
}

// room returns the topic of a room that a stream is about to follow, with everyone who is there. The caller holds h.mu.
func (h *Hub) room(id int64, name string) *topic {
	t := h.topic(chat.RoomTopic(id))
	if !t.needed() {
		h.gather(t)
	}
	t.room = name
	return t
}

// needed reports whether t holds who is in it: while a stream here follows it, or a user of this node is present in it.
func (t *topic) needed() bool { return len(t.subs) > 0 || t.here > 0 || t.key == siteTopic }

// forgetIfUnused drops who is in t if that is no longer needed, and t if it has no entries in the ring either. The caller
// holds h.mu.
func (h *Hub) forgetIfUnused(t *topic) {
	if t.needed() {
		return
	}
	t.presence = presence{}
	if len(t.entries) == 0 && h.topics[t.key] == t {
		delete(h.topics, t.key)
	}
}
