package realtime

import "tandem/chat"

// scrub takes a deleted message's text out of the ring: whoever replays from now on does not see it. Everything that
// has it is in the topics of its deletion. h.mu is held, so nobody reads the entries.
func (h *Hub) scrub(deleted chat.Event) {
	message, err := chat.DeletedMessage(deleted)
	if err != nil {
		h.logger.Error("a deletion cannot be read", "id", deleted.ID, "error", err)
		return
	}
	for _, key := range [...]chat.Topic{deleted.Topic, deleted.Also} {
		t := h.topics[key]
		if t == nil {
			continue
		}
		for _, e := range t.entries {
			without, has := chat.ScrubJSON(e.typ, e.id, e.json, message)
			if !has {
				continue
			}
			e.json = without
			for i := range e.wire {
				e.wire[i].Store(nil)
			}
		}
	}
}
