package realtime

import (
	"context"
	"time"
)

// lastSeenEvery is how often last-seen times are written, all of that interval at once.
const lastSeenEvery = time.Second

// noteLastSeen records that a user is no longer online on this node. The caller holds Hub.mu.
func (h *Hub) noteLastSeen(user int64, p *person) {
	if h.lastSeen == nil {
		return
	}
	at := h.now() // the user became invisible
	if p.departure != nil {
		at = p.departure.ended
	}
	h.gone[user] = at
}

// writeLastSeen writes what was recorded. On failure it tries again.
func (h *Hub) writeLastSeen(ctx context.Context) {
	h.mu.Lock()
	gone := h.gone
	h.gone = make(map[int64]time.Time)
	h.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	err := h.lastSeen(ctx, gone)
	if err == nil {
		return
	}
	h.logger.Debug("could not write when users were last seen; trying again", "error", err)
	h.mu.Lock()
	defer h.mu.Unlock()
	for user, at := range gone {
		if _, again := h.gone[user]; !again {
			h.gone[user] = at
		}
	}
}

// noteAllLastSeen is called when the node stops: no other node knows the users whose grace has not ended.
func (h *Hub) noteAllLastSeen() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for user, p := range h.site.people {
		if p.here {
			h.noteLastSeen(user, p)
		}
	}
}
