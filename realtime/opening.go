package realtime

import (
	"context"
	"slices"

	"tandem/chat"
)

// opening is the state of a stream that is being opened.
type opening struct {
	stream  *Stream
	request Request
	state   chat.LogState

	reset   string // why the cursor is not accepted; empty if it is, or there is none
	resumed bool
	rooms   []place // in the requested order, then by name
	lost    []string
	since   int64 // where a stream that is behind starts
	behind  bool
}

// place is a room to be followed.
type place struct {
	id    int64
	name  string
	after int64
	named bool
}

// checkCursor decides whether the cursor is accepted.
func (o *opening) checkCursor(ctx context.Context) error {
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

// mayLose reports whether rooms that may not be followed are named in lost instead of refusing the stream.
func (o *opening) mayLose() bool { return o.resumed || o.reset != "" }

// look finds the rooms the viewer may follow, and where each starts.
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
			if another { // so the old one is lost; nobody has requested the new one
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
	o.checkFloors()
	if o.mayLose() || o.request.History == 0 {
		return nil
	}
	o.behind, o.since = true, o.state.Head // the inbox starts at the head
	for i := range o.rooms {
		p := &o.rooms[i]
		if p.after, err = h.log.Start(ctx, chat.RoomTopic(p.id), o.request.History); err != nil {
			return err
		}
		p.after = min(p.after, o.state.Head) // many messages may have been posted since it was read
		o.since = min(o.since, p.after)
	}
	return nil
}

// checkFloors decides whether the cursor is accepted in each room: a room may keep less than the whole log.
func (o *opening) checkFloors() {
	if !o.resumed {
		return
	}
	h := o.stream.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, p := range o.rooms {
		if floor := h.floors[p.id]; max(o.since, p.after) < floor-1 {
			o.reset, o.resumed, o.behind = chat.ResetBeforeFloor, false, false
			o.state.Floor = max(o.state.Floor, floor)
		}
	}
}

// lose records a room that may not be followed, or returns the error that refuses the stream.
func (o *opening) lose(name string) error {
	if !o.mayLose() {
		return chat.RoomNotFound(name)
	}
	if !slices.Contains(o.lost, name) {
		o.lost = append(o.lost, name)
	}
	return nil
}

// find returns the index of a room in o.rooms, or -1.
func (o *opening) find(room int64) int {
	return slices.IndexFunc(o.rooms, func(p place) bool { return p.id == room })
}

// begin applies what changed after the head that was read, makes the stream follow its topics, and greets. The caller
// holds Hub.mu.
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
		s.pos = o.since // as far as it knows; the ring may have everything
	case h.name != o.state.Name:
		s.pos = o.state.Head // the hub's position belongs to another log
	default:
		s.pos = max(h.pos, o.state.Head) // from the log's head, even if the hub has not reached it yet
	}
	if h.name != o.state.Name {
		s.sendBack() // the log changed meanwhile, here or there
	}
	size := len(o.rooms) + 1 // plus the inbox
	if o.request.Site {
		size++
	}
	s.follows = make([]follow, 0, size)
	for _, p := range o.rooms {
		s.follow(h.room(p.id, p.name), p.after, p.named)
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
		s.follow(h.site, 0, true)
	}
	o.greet(s.follows[:rooms])
	if sendBack {
		s.sendBack()
	}
	return nil
}

// greet adds the viewer to the rooms and builds the stream's first frames. The caller holds Hub.mu, so that the lists
// match what follows them.
func (o *opening) greet(rooms []follow) {
	s := o.stream
	h := s.hub
	if s.viewer.User != 0 {
		h.join(h.site, s.viewer)
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
	s.presencePos = h.ring.seq
	if !s.behind {
		s.seq = h.ring.seq
	}
	say := func(e chat.Ephemeral, cursor chat.Cursor) {
		s.opening = s.framer.Frame(s.opening, e.Type, cursor, e.JSON)
	}
	say(chat.StreamOpen(s.viewer.Name, names, o.lost, s.cursor(), o.resumed), s.cursor())
	if o.request.Site {
		s.opening = append(s.opening, h.site.userList(s.viewer.User).frame(s.framer, s.log)...)
	}
	for i := range rooms {
		s.opening = append(s.opening, rooms[i].topic.userList(s.viewer.User).frame(s.framer, s.log)...)
	}
	if o.reset != "" {
		s.news = true
		say(chat.StreamReset(o.reset, o.state.Floor, s.pos), s.cursor())
	}
}
