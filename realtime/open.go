package realtime

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"tandem/chat"
)

// Request is a client's request for a stream.
type Request struct {
	Rooms     []string
	All       bool         // also the rooms that the viewer is a member of, as that changes
	Site      bool         // also who is online on the whole site
	Cursor    *chat.Cursor // resume after it; nil for none
	Malformed bool         // the cursor could not be parsed; reset the stream instead of refusing it
	History   int          // without a cursor: start each room at its last N messages
}

// Open opens a stream for v. It returns chat.ErrRoomNotFound for a room that may not be followed, if there is no
// cursor; ErrExpired, ErrTooManyStreams, ErrAnonymous, chat.ErrTokenScope, ErrDraining and ErrNoMemory. The caller must
// serve the stream, or drop it with Drop.
//
// The order is the guarantee: attach, so that changes from now on are recorded; then read the log's head, against which
// cursors are checked; then check access, which includes all changes up to that head. Changes recorded after it are
// applied when the stream begins.
func (h *Hub) Open(ctx context.Context, v chat.Viewer, f Framer, r Request) (*Stream, error) {
	switch {
	case !v.Expires.IsZero() && !h.now().Before(v.Expires):
		return nil, ErrExpired // within the leeway that requests have; the stream would end at once and come back
	case v.User == 0 && (r.All || r.Site):
		return nil, ErrAnonymous
	case v.Only != nil && r.Site:
		return nil, chat.ErrTokenScope
	}
	if err := h.AwaitOthers(ctx); err != nil {
		return nil, err
	}
	s, err := h.attach(v, f)
	if err != nil {
		return nil, err
	}
	opened := false
	defer func() { // also if opening panics
		h.endOpening()
		if !opened {
			s.Drop()
		}
	}()
	if err := h.open(ctx, s, r); err != nil {
		return nil, err
	}
	opened = true
	return s, nil
}

// endOpening is attach's counterpart.
func (h *Hub) endOpening() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.opening--; h.opening == 0 {
		h.changes = nil
	}
}

// attach registers a stream before anything is checked or read.
func (h *Hub) attach(v chat.Viewer, f Framer) (*Stream, error) {
	s := h.newStream(v, f)
	enough := h.memory.allows(h.now())
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining:
		return nil, ErrDraining
	case !enough:
		h.meter.refused.Add(1)
		return nil, ErrNoMemory
	case !h.count(s):
		return nil, ErrTooManyStreams
	}
	h.opening++
	h.meter.opened[f.Format()].Add(1)
	h.streams.add(s)
	h.serving.Add(1)
	return s, nil
}

func (h *Hub) newStream(v chat.Viewer, f Framer) *Stream {
	s := &Stream{hub: h, viewer: v, framer: f}
	s.state.Store(busy) // it is not served yet; wakes wait
	if f == Poll {
		s.woken = make(chan struct{}, 1) // ServePoll handles its age
	} else if h.maxAge > 0 {
		s.ends = h.now().Add(h.age()).UnixNano()
	}
	return s
}

// age returns how long a stream that starts now may last: it varies, so that streams that started together do not
// reconnect together.
func (h *Hub) age() time.Duration { return h.maxAge*9/10 + rand.N(h.maxAge/5+1) }

// RetryTooMany is when a client with too many streams may retry. A stream that was lost without an end is detected
// within a minute.
const RetryTooMany = 15 * time.Second

// Refuse returns a stream that only sends stream_close with too_many_streams. It follows nothing and does not count. It
// returns ErrDraining; the caller must serve the stream, or drop it with Drop.
func (h *Hub) Refuse(v chat.Viewer, f Framer) (*Stream, error) {
	s := h.newStream(v, f)
	s.closing, s.retry = chat.CloseTooManyStreams, RetryTooMany
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, ErrDraining
	}
	h.streams.add(s)
	h.serving.Add(1)
	return s, nil
}

// open finds an attached stream's rooms and starting positions.
func (h *Hub) open(ctx context.Context, s *Stream, r Request) error {
	state, err := h.head.get(ctx) // a read that began after the attach
	if err != nil {
		return err
	}
	s.head = state.Head
	h.knowInvisible(ctx, state)
	o := &opening{stream: s, request: r, state: state}
	if err := o.checkCursor(ctx); err != nil {
		return err
	}
	if err := o.look(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.unlockAndWake()
	if h.draining {
		return ErrDraining
	}
	return o.begin()
}

// detach removes s from a topic. The caller holds Hub.mu.
func (s *Stream) detach(t *topic) {
	t.subs = without(t.subs, s)
	s.hub.forgetIfUnused(t)
}

// Drop removes a stream from the hub. The caller of Open or Serve calls it; calling it again does nothing.
func (s *Stream) Drop() {
	h := s.hub
	grace := s.graceNow()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.streams.remove(s) {
		return
	}
	defer h.serving.Done()
	if s.counted {
		h.uncount(s)
	}
	if s.online {
		h.leave(h.site, s.viewer, grace)
	}
	for _, f := range s.follows {
		if f.present {
			h.leave(f.topic, s.viewer, grace)
		}
		if f.until == 0 {
			s.detach(f.topic)
		}
	}
}

// without removes s from a list, not preserving order.
func without(list []*Stream, s *Stream) []*Stream {
	i, last := slices.Index(list, s), len(list)-1
	list[i], list[last] = list[last], nil
	return list[:last]
}
