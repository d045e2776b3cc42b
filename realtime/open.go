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
	All       bool         // also the rooms that the viewer is a member of, as that changes
	Site      bool         // also who is online on the whole site
	Cursor    *chat.Cursor // resume behind it; nil for none
	Malformed bool         // there was a cursor that could not be read; it is reset, not refused
	History   int          // without a cursor: begin each room with its last so many messages
}

// Open makes a stream of v's. It returns chat.ErrRoomNotFound for a room that may not be followed, if there
// is no cursor, ErrExpired, ErrTooManyStreams, ErrAnonymous, chat.ErrTokenScope and ErrDraining. The stream is to be
// served, or dropped with Drop.
//
// The order is the guarantee: attach, so that whatever changes from now on is noted; then look at the log, whose head
// is the judge of cursors; then check access, which so knows all changes up to that head. What was noted above it is
// made up for when the stream begins.
func (h *Hub) Open(ctx context.Context, v chat.Viewer, f Framer, r Request) (*Stream, error) {
	switch {
	case !v.Expires.IsZero() && !h.now().Before(v.Expires):
		return nil, ErrExpired // within the leeway that requests have; a stream would end at once, and come back
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
	defer func() { // also where opening it panics
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

// attach registers a stream, before anything is checked or read.
func (h *Hub) attach(v chat.Viewer, f Framer) (*Stream, error) {
	s := h.newStream(v, f)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, ErrDraining
	}
	if !h.count(s) {
		return nil, ErrTooManyStreams
	}
	h.opening++
	h.streams.add(s)
	h.serving.Add(1)
	return s, nil
}

func (h *Hub) newStream(v chat.Viewer, f Framer) *Stream {
	s := &Stream{hub: h, viewer: v, framer: f}
	s.state.Store(busy) // it is not served yet; wakes wait
	if f == Poll {
		s.woken = make(chan struct{}, 1)
	}
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
	h.streams.add(s)
	h.serving.Add(1)
	return s, nil
}

// open finds an attached stream's rooms, and where it begins.
func (h *Hub) open(ctx context.Context, s *Stream, r Request) error {
	state, err := h.head.get(ctx) // a read that began after the attach
	if err != nil {
		return err
	}
	s.head = state.Head
	o := &opening{stream: s, request: r, state: state}
	if err := o.judge(ctx); err != nil {
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

// opening is what is known of a stream that is being opened.
type opening struct {
	stream  *Stream
	request Request
	state   chat.LogState

	reset   string // why the cursor is not honoured; empty where it is, and where there is none
	resumed bool
	rooms   []place // in the order in which they were asked for, then by name
	lost    []string
	since   int64 // where the stream begins that is behind
	behind  bool
}

// place is a room that is to be followed.
type place struct {
	id    int64
	name  string
	after int64
	named bool
}

// judge says whether the cursor can be honoured.
func (o *opening) judge(ctx context.Context) error {
	r, state := &o.request, o.state
	if r.Cursor != nil && r.Cursor.Log != "" && r.Cursor.Log != state.Name {
		upto, err := o.stream.hub.log.Shared(ctx, r.Cursor.Log)
		if err != nil {
			return err
		}
		if r.Cursor.ID > upto {
			o.reset = chat.ResetOtherLog
			return nil
		}
	}
	switch {
	case r.Malformed:
		o.reset = chat.ResetMalformed
	case r.Cursor == nil:
	case r.Cursor.ID > state.Head:
		o.reset = chat.ResetAheadOfHead
	case r.Cursor.ID < state.Floor-1:
		o.reset = chat.ResetBeforeFloor
	default:
		o.resumed, o.behind, o.since = true, true, r.Cursor.ID
	}
	return nil
}

// mayLose tells whether rooms that may not be followed are named in lost, rather than refused.
func (o *opening) mayLose() bool { return o.resumed || o.reset != "" }

// look asks which rooms the viewer may follow, and where each begins.
func (o *opening) look(ctx context.Context) error {
	h, v := o.stream.hub, o.stream.viewer
	may, missing, err := h.access.Follow(ctx, v, o.request.Rooms, func(name string) (chat.Room, bool) { return o.openRoom(ctx, name) })
	if err != nil {
		return err
	}
	for _, name := range missing {
		if err := o.lose(name); err != nil {
			return err
		}
	}
	var all []chat.Membership
	if o.request.All {
		if all, err = h.access.Memberships(ctx, v); err != nil {
			return err
		}
	}
	member := func(room int64) bool {
		return slices.ContainsFunc(all, func(m chat.Membership) bool { return m.ID == room })
	}
	named := make(map[int64]bool, len(may))
	for _, room := range may {
		if o.resumed && o.since < room.NameSince {
			another, err := h.log.WasAnother(ctx, room.Name, o.since)
			if err != nil {
				return err
			}
			if another { // which is lost; nobody has asked for this one
				if !member(room.ID) {
					o.lost = append(o.lost, room.Name)
				}
				continue
			}
		}
		named[room.ID] = true
		o.rooms = append(o.rooms, place{id: room.ID, name: room.Name, named: true})
	}
	for _, m := range all {
		if !named[m.ID] {
			o.rooms = append(o.rooms, place{id: m.ID, name: m.Name, after: max(0, m.Since-1)})
		}
	}
	if o.mayLose() || o.request.History == 0 {
		return nil
	}
	o.behind, o.since = true, o.state.Head // of the inbox nothing
	for i := range o.rooms {
		p := &o.rooms[i]
		if p.after, err = h.log.Start(ctx, chat.RoomTopic(p.id), o.request.History); err != nil {
			return err
		}
		p.after = min(p.after, o.state.Head) // many may have been posted since it was looked at
		o.since = min(o.since, p.after)
	}
	return nil
}

// lose notes a room that may not be followed, or returns the error that refuses the stream.
func (o *opening) lose(name string) error {
	if !o.mayLose() {
		return chat.RoomNotFound(name)
	}
	if !slices.Contains(o.lost, name) {
		o.lost = append(o.lost, name)
	}
	return nil
}

// find is the index of a room in o.rooms, or -1.
func (o *opening) find(room int64) int {
	return slices.IndexFunc(o.rooms, func(p place) bool { return p.id == room })
}

// begin makes up for what changed behind the head that was looked at, has the stream follow its topics, and greets.
// Hub.mu is held.
func (o *opening) begin() error {
	s := o.stream
	h := s.hub
	sendBack := false
	for _, c := range h.changes {
		if c.id <= o.state.Head || c.user != 0 && c.user != s.viewer.User {
			continue
		}
		i := o.find(c.room)
		switch {
		case c.kind == chat.TypeMemberAdded:
			if i < 0 && o.request.All && s.viewer.Reaches(c.room) {
				o.rooms = append(o.rooms, place{id: c.room, name: c.name, after: c.id - 1})
			}
		case i < 0 || c.kind == chat.TypeMemberRemoved && o.rooms[i].named:
		case c.kind == closed:
			sendBack = true
		default:
			if o.rooms[i].named {
				if err := o.lose(o.rooms[i].name); err != nil {
					return err
				}
			}
			o.rooms = slices.Delete(o.rooms, i, i+1)
		}
	}

	s.log = o.state.Name
	s.known, s.all = o.state.Head, o.request.All
	switch s.behind = o.behind; {
	case s.behind:
		s.pos = o.since // as far as it knows; the ring may have it all
	case h.name != o.state.Name:
		s.pos = o.state.Head // the hub's position is one in another log
	default:
		s.pos = max(h.pos, o.state.Head) // from the log's head, even where the hub is not there yet
	}
	if h.name != o.state.Name {
		s.sendBack() // the log changed meanwhile, here or there
	}
	size := len(o.rooms) + 1 // with the inbox
	if o.request.Site {
		size++
	}
	s.follows = make([]follow, 0, size)
	for _, p := range o.rooms {
		t := h.topic(chat.RoomTopic(p.id))
		t.room = p.name
		s.follow(t, p.after, p.named)
	}
	rooms := len(s.follows)
	if s.viewer.User != 0 && s.viewer.Only == nil {
		after := int64(0)
		if !o.resumed && o.behind {
			after = o.state.Head
		}
		s.follow(h.topic(chat.InboxTopic(s.viewer.User)), after, true)
	}
	if o.request.Site {
		s.follow(h.topic(siteTopic), 0, true)
	}
	o.greet(s.follows[:rooms])
	if sendBack {
		s.sendBack()
	}
	return nil
}

// greet brings the viewer into the rooms and makes the stream's first frames. Hub.mu is held, so that the
// lists and what follows them fit together.
func (o *opening) greet(rooms []follow) {
	s := o.stream
	h := s.hub
	if s.viewer.User != 0 {
		h.join(h.topic(siteTopic), s.viewer)
		s.online = true
	}
	names := make([]string, 0, len(rooms))
	for i := range rooms {
		f := &rooms[i]
		names = append(names, f.topic.room)
		if s.viewer.User != 0 {
			h.join(f.topic, s.viewer)
			f.present = true
		}
	}
	s.told = h.ring.seq
	if !s.behind {
		s.seq = h.ring.seq
	}
	say := func(e chat.Ephemeral, cursor chat.Cursor) {
		s.opening = s.framer.Frame(s.opening, e.Type, cursor, e.JSON)
	}
	say(chat.StreamOpen(s.viewer.Name, names, o.lost, s.cursor(), o.resumed), s.cursor())
	if o.request.Site {
		s.opening = append(s.opening, h.topic(siteTopic).userList().frame(s.framer, s.log)...)
	}
	for i := range rooms {
		s.opening = append(s.opening, rooms[i].topic.userList().frame(s.framer, s.log)...)
	}
	if o.reset != "" {
		s.news = true
		say(chat.StreamReset(o.reset, o.state.Floor, s.pos), s.cursor())
	}
}

// detach takes s out of a topic. Hub.mu is held.
func (s *Stream) detach(t *topic) {
	t.subs = without(t.subs, s)
	s.hub.forgetIfUnused(t)
}

// Drop ends a stream's part in the hub. It is called by who opened it or by Serve; calling it again does nothing.
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
		h.leave(h.topics[siteTopic], s.viewer, grace)
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

// without takes s out of a list in whatever order.
func without(list []*Stream, s *Stream) []*Stream {
	i, last := slices.Index(list, s), len(list)-1
	list[i], list[last] = list[last], nil
	return list[:last]
}
