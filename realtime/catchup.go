package realtime

import (
	"context"
	"slices"
	"time"

	"tandem/chat"
)

// committed handles a batch from the bus. Events that follow the position are delivered. A gap has a moment to fill,
// then the log is read. A batch from another log only triggers a poll.
func (h *Hub) committed(ctx context.Context, log string, batch []chat.Event) {
	h.in.Lock()
	defer h.in.Unlock()
	if log != h.name { // only the holder of h.in changes it
		_ = h.catchUp(ctx)
		return
	}
	h.pending = append(h.pending, batch...)
	if len(h.pending) > len(batch) { // late events arrive in any order
		slices.SortFunc(h.pending, func(a, b chat.Event) int { return int(a.ID - b.ID) })
	}
	h.takePending()
	if len(h.pending) > 0 && h.gap == nil {
		h.gap = time.AfterFunc(gapGrace, func() {
			h.do("a hole in the ids", func() {
				h.in.Lock()
				defer h.in.Unlock()
				h.gap = nil
				if len(h.pending) > 0 && ctx.Err() == nil {
					h.meter.gaps.Add(1)
					_ = h.catchUp(ctx)
				}
			})
		})
	}
}

// takePending delivers the pending events that follow the position without a gap. The caller holds h.in.
func (h *Hub) takePending() {
	next := h.pos + 1 // only the holder of h.in moves it
	from := 0
	for from < len(h.pending) && h.pending[from].ID < next {
		from++ // already known
	}
	to := from
	for to < len(h.pending) && h.pending[to].ID <= next {
		if h.pending[to].ID == next {
			next++
		}
		to++
	}
	if to > from {
		h.deliver(h.pending[from:to], next-1)
	}
	h.pending = slices.Delete(h.pending, 0, to)
	if len(h.pending) == 0 {
		h.pending = nil // do not keep the batch's memory
	}
}

// look reads the log if its head is ahead of the hub.
func (h *Hub) look(ctx context.Context) error {
	h.in.Lock()
	defer h.in.Unlock()
	return h.catchUp(ctx)
}

// catchUp reads the log up to its head. After reading (a, b] the position is b, even if some ids had no rows. If the
// log cannot be read, the next poll tries again. The caller holds h.in.
func (h *Hub) catchUp(ctx context.Context) error {
	state, err := h.log.Head(ctx)
	if err == nil && state.Name != h.name {
		var invisible map[int64]bool
		var floors map[int64]int64
		if invisible, err = h.readInvisible(ctx); err == nil {
			floors, err = h.log.RoomFloors(ctx)
		}
		if err == nil {
			h.restart(state, invisible, floors)
		}
	}
	if err == nil && h.pos < state.Head {
		h.meter.catchUps.Add(1)
	}
	for err == nil && h.pos < state.Head {
		upto := min(state.Head, h.pos+logPage)
		var events []chat.Event
		if events, err = h.log.ReadAll(ctx, h.pos, upto, logPage); err == nil {
			h.meter.caughtUp.Add(uint64(len(events)))
			h.deliver(events, upto)
		}
	}
	if err != nil && ctx.Err() == nil {
		h.logger.Warn("reading the log failed; trying again", "error", err)
		return err
	}
	h.takePending()
	return err
}

// restart starts over with a different log. The clients reconnect, and their cursors are checked. The caller holds
// h.in.
func (h *Hub) restart(state chat.LogState, invisible map[int64]bool, floors map[int64]int64) {
	h.logger.Warn("the log has a new name: another database has taken over", "was", h.name, "is", state.Name)
	h.renamed()
	h.pending = nil
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams.all() {
		s.sendBack()
	}
	h.name, h.pos = state.Name, state.Head
	h.do("notifying the followers of the log", func() { h.delivered(h.name, nil, h.pos) })
	h.floors = floors
	h.invisible = invisible // all streams end, so there is nobody to notify
	h.emptyRing()
}

// emptyRing drops all events, so that every stream reads the log from its cursor on. The caller holds Hub.mu.
func (h *Hub) emptyRing() {
	for _, t := range h.topics {
		t.entries = nil
		h.forgetIfUnused(t)
	}
	h.openRooms.forget()
	next := h.ring.seq + 1 // also ahead of the streams that were up to date
	h.ring = ring{limit: h.ring.limit, seq: next, evicted: next, floor: h.pos}
}
