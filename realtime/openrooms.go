package realtime

import (
	"context"

	"golang.org/x/sync/singleflight"

	"tandem/chat"
)

// openRooms caches rooms that everyone may follow, so that a reconnecting crowd asks about each room once. It is
// correct as of the hub's position: every event that closes a room to anyone is in the log, and the hub empties the
// cache when it gets there. Guarded by Hub.mu.
type openRooms struct {
	rooms     map[string]chat.Room
	forgotten uint64 // how often the cache was emptied, so that an older answer is not stored
	asking    singleflight.Group
}

// mostOpenRooms bounds their memory.
const mostOpenRooms = 10_000

// forget is called for each change that closes a room to someone. An index to drop only that room is not worth it.
func (r *openRooms) forget() {
	clear(r.rooms)
	r.forgotten++
}

// openRoom returns the room with that prepared name if everyone may follow it and the stream may rely on that: it must
// not be older than the head read after the stream was attached. Otherwise access must be checked for the viewer.
func (o *opening) openRoom(ctx context.Context, name string) (room chat.Room, open bool) {
	h := o.stream.hub
	room, open, current := h.rememberedOpen(name, o.state)
	if open || !current {
		return room, open
	}
	// The shared answer may be older than this caller's question. It is only cached if it is correct as of the hub's
	// position, by which it is checked again.
	_, _, _ = h.openRooms.asking.Do(name, func() (any, error) {
		h.askOpen(context.WithoutCancel(ctx), name) // no single client's end may cancel what others wait for
		return nil, nil
	})
	room, open, _ = h.rememberedOpen(name, o.state)
	return room, open
}

// rememberedOpen returns a cached open room as of the hub's position; current reports whether that is not below
// state's.
func (h *Hub) rememberedOpen(name string, state chat.LogState) (room chat.Room, open, current bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.name != state.Name || h.pos < state.Head {
		return chat.Room{}, false, false
	}
	room, open = h.openRooms.rooms[name]
	return room, open, true
}

// askOpen checks whether everyone may follow a room, and caches it if so.
func (h *Hub) askOpen(ctx context.Context, name string) {
	h.mu.RLock()
	asked := h.openRooms.forgotten
	h.mu.RUnlock()
	room, err := h.access.OpenRoom(ctx, name)
	if err != nil {
		return // the check for the viewer reports it again
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.openRooms.forgotten != asked {
		return
	}
	if len(h.openRooms.rooms) >= mostOpenRooms {
		clear(h.openRooms.rooms)
	}
	h.openRooms.rooms[name] = room
}
