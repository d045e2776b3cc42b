package realtime

import (
	"context"
	"slices"
	"time"

	"tandem/chat"
)

// Request is what a client asks a stream for.
type Request struct {
	Rooms     []string
	Cursor    *chat.Cursor // resume behind it; nil for none
	Malformed bool         // there was a cursor that could not be read; it is reset, not refused
	History   int          // without a cursor: begin each room with its last so many messages
}

// Open makes a stream of v's. It returns chat.ErrRoomNotFound for a room that may not be followed, if there
// is no cursor, ErrExpired, ErrTooManyStreams and ErrDraining. The stream is to be served, or dropped with Drop.
//
// The order is the guarantee: attach, so that whatever happens from now on wakes the stream; then check
// access, so that a removal either comes before the check or is an event that the stream sees; then look at
// the log, whose head is the judge of cursors.
func (h *Hub) Open(ctx context.Context, v chat.Viewer, f Framer, r Request) (*Stream, error) {
	if !v.Expires.IsZero() && !h.now().Before(v.Expires) {
		return nil, ErrExpired // within the leeway that requests have; a stream would end at once, and come back
	}
	resuming := r.Cursor != nil || r.Malformed
	rooms, missing, err := h.access.Follow(ctx, v, r.Rooms)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 && !resuming {
		return nil, chat.RoomNotFound(missing[0])
	}

	s, err := h.attach(v, f, rooms)
	if err != nil {
		return nil, err
	}
	lost, err := h.open(ctx, s, r, rooms)
	if err == nil && len(lost) > 0 && !resuming {
		err = chat.RoomNotFound(lost[0])
	}
	if err != nil {
		s.Drop()
		return nil, err
	}
	return s, nil
}

// attach registers a stream for its topics, before anything is checked or read.
func (h *Hub) attach(v chat.Viewer, f Framer, rooms []chat.Room) (*Stream, error) {
	s := h.newStream(v, f)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, ErrDraining
	}
	// Judged and counted under one lock: of streams that open at once none slips through.
	if h.most > 0 && h.perUser[v.User] >= h.most {
		return nil, ErrTooManyStreams
	}
	h.perUser[v.User]++
	s.counted = true
	s.topics = make([]*topic, 0, len(rooms)+1)
	for _, r := range rooms {
		t := h.topic(chat.RoomTopic(r.ID))
		t.room = r.Name
		s.topics = append(s.topics, t)
	}
	s.topics = append(s.topics, h.topic(chat.InboxTopic(v.User)))
	for _, t := range s.topics {
		t.subs = append(t.subs, s)
	}
	h.streams[s] = struct{}{}
	h.serving.Add(1)
	return s, nil
}

func (h *Hub) newStream(v chat.Viewer, f Framer) *Stream {
	s := &Stream{hub: h, viewer: v, framer: f, lastPing: h.now()}
	s.state.Store(busy) // it is not served yet; wakes wait
	return s
}

// RetryTooMany is when whoever has too many streams may try again. A stream that was lost on the way, and nobody
// ended, is noticed within a minute.
const RetryTooMany = 15 * time.Second

// Refuse makes a stream that says stream_close for too_many_streams and ends. It follows nothing and does not count.
// It returns ErrDraining; the stream is to be served, or dropped with Drop.
func (h *Hub) Refuse(v chat.Viewer, f Framer) (*Stream, error) {
	s := h.newStream(v, f)
	s.closing, s.retry = chat.CloseTooManyStreams, RetryTooMany
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, ErrDraining
	}
	h.streams[s] = struct{}{}
	h.serving.Add(1)
	return s, nil
}

// open checks an attached stream's rooms and finds where it begins. It returns the rooms that were lost.
func (h *Hub) open(ctx context.Context, s *Stream, r Request, rooms []chat.Room) (lost []string, err error) {
	may, lost, err := h.access.Follow(ctx, s.viewer, r.Rooms)
	if err != nil {
		return nil, err
	}
	for _, room := range rooms {
		if !slices.ContainsFunc(may, func(m chat.Room) bool { return m.ID == room.ID }) {
			s.unfollow(chat.RoomTopic(room.ID))
			if !slices.Contains(lost, room.Name) {
				lost = append(lost, room.Name) // made anew under its old name meanwhile
			}
		}
	}

	state, err := h.log.Head(ctx)
	if err != nil {
		return nil, err
	}
	reset := ""
	var since int64
	switch {
	case r.Malformed:
		reset = chat.ResetMalformed
	case r.Cursor == nil:
	case r.Cursor.Log != "" && r.Cursor.Log != state.Name:
		reset = chat.ResetOtherLog
	case r.Cursor.ID > state.Head:
		reset = chat.ResetAheadOfHead
	case r.Cursor.ID < state.Floor-1:
		reset = chat.ResetBeforeFloor
	default:
		since = r.Cursor.ID
	}
	resumed := r.Cursor != nil && reset == ""
	starts := make([]int64, len(s.topics))
	if !resumed && reset == "" && r.History > 0 {
		for i, t := range s.topics {
			starts[i] = state.Head // of the inbox nothing
			if t.key.IsRoom() {
				if starts[i], err = h.log.Start(ctx, t.key, r.History); err != nil {
					return nil, err
				}
			}
		}
		since = slices.Min(starts)
		s.begin = starts
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, ErrDraining
	}
	if resumed || s.begin != nil {
		s.pos, s.behind = since, true // as far as it knows; the ring may have it all
	} else {
		// From the log's head, even where the hub is not there yet.
		s.pos, s.seq = max(h.pos, state.Head), h.ring.seq
	}
	s.greet(reset, resumed, lost, state)
	return lost, nil
}

// greet brings the viewer into the rooms and makes the stream's first frames. h.mu is held, so that the
// lists and what follows them fit together.
func (s *Stream) greet(reset string, resumed bool, lost []string, state chat.LogState) {
	h := s.hub
	rooms := make([]string, 0, len(s.topics))
	var changed []*topic
	for _, t := range s.topics {
		if t.room == "" {
			continue
		}
		rooms = append(rooms, t.room)
		if h.join(t, s.viewer) {
			changed = append(changed, t)
		}
	}
	s.present = true
	s.told = h.ring.seq
	if !s.behind {
		s.seq = h.ring.seq
	}
	open := chat.StreamOpen(s.viewer.Name, rooms, lost, s.cursor(), resumed)
	s.opening = s.framer.Frame(s.opening, open.Type, s.cursor(), open.JSON)
	for _, t := range s.topics {
		if t.room != "" {
			s.opening = append(s.opening, t.userList().frame(s.framer, h.name)...)
		}
	}
	if reset != "" {
		r := chat.StreamReset(reset, state.Floor, s.pos)
		s.opening = s.framer.Frame(s.opening, r.Type, s.cursor(), r.JSON)
	}
	wakeAll(changed)
}

// unfollow takes a topic from a stream that is not served yet.
func (s *Stream) unfollow(key chat.Topic) {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(s.topics, func(t *topic) bool { return t.key == key })
	s.detach(s.topics[i])
	s.topics = slices.Delete(s.topics, i, i+1)
}

// detach takes s out of a topic. Hub.mu is held.
func (s *Stream) detach(t *topic) {
	if i := slices.Index(t.subs, s); i >= 0 {
		last := len(t.subs) - 1
		t.subs[i], t.subs[last] = t.subs[last], nil
		t.subs = t.subs[:last]
	}
	s.hub.forgetIfUnused(t)
}

// Drop ends a stream's part in the hub. It is called once, by who opened it or by Serve.
func (s *Stream) Drop() {
	h := s.hub
	h.mu.Lock()
	delete(h.streams, s)
	if s.counted {
		if h.perUser[s.viewer.User]--; h.perUser[s.viewer.User] == 0 {
			delete(h.perUser, s.viewer.User)
		}
	}
	for _, t := range s.topics {
		if s.present && t.room != "" {
			h.leave(t, s.viewer)
		}
		s.detach(t)
	}
	h.mu.Unlock()
	h.serving.Done()
}
