package realtime

import "tandem/chat"

// scrub removes a deleted message's text from the ring, so that later replays do not contain it. Everything with the
// text is in the topics of its deletion. The caller holds h.mu, so nobody reads the entries.
func (h *Hub) scrub(deleted chat.Event) {
	message, err := chat.DeletedMessage(deleted)
	if err != nil {
		h.logger.Error("cannot read a deletion", "id", deleted.ID, "error", err)
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
