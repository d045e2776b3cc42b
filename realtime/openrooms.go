package realtime

import (
	"context"

	"golang.org/x/sync/singleflight"

	"tandem/chat"
)

// openRooms remembers rooms that everybody may follow, so that of a crowd that comes back one asks about each room. It
// is right as of the hub's position: whatever closes a room to anybody is in the log, and when the hub gets there it
// forgets. Guarded by Hub.mu.
type openRooms struct {
	rooms     map[string]chat.Room
	forgotten uint64 // how often, so that an answer to what was asked before is not remembered
	asking    singleflight.Group
}

// mostOpenRooms bounds the memory for them.
const mostOpenRooms = 10_000

// forget is called for each change that closes a room to somebody. Which room is not worth an index.
func (r *openRooms) forget() {
	clear(r.rooms)
	r.forgotten++
}

// openRoom is the room with that prepared name, if everybody may follow it and the stream may go by that: it is then no
// older than the head that was looked at after the stream was attached. Otherwise it is to be asked about the viewer.
func (o *opening) openRoom(ctx context.Context, name string) (room chat.Room, open bool) {
	h := o.stream.hub
	room, open, current := h.rememberedOpen(name, o.state)
	if open || !current {
		return room, open
	}
	// What the others wait for may have been asked before they came. It is remembered only if it is right as of the
	// hub's position, by which it is judged again.
	_, _, _ = h.openRooms.asking.Do(name, func() (any, error) {
		h.askOpen(context.WithoutCancel(ctx), name) // no one client's end ends what others wait for
		return nil, nil
	})
	room, open, _ = h.rememberedOpen(name, o.state)
	return room, open
}

// rememberedOpen is an open room as of the hub's position; current tells whether that is not below state's.
func (h *Hub) rememberedOpen(name string, state chat.LogState) (room chat.Room, open, current bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.name != state.Name || h.pos < state.Head {
		return chat.Room{}, false, false
	}
	room, open = h.openRooms.rooms[name]
	return room, open, true
}

// askOpen asks whether everybody may follow a room, and remembers it if so.
func (h *Hub) askOpen(ctx context.Context, name string) {
	h.mu.RLock()
	asked := h.openRooms.forgotten
	h.mu.RUnlock()
	room, err := h.access.OpenRoom(ctx, name)
	if err != nil {
		return // asked about the viewer it comes again
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
