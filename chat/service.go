package chat

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Service implements every rule. Its methods may be called concurrently.
//
// It decides on rows that it may have read a while ago and passes their versions to the store as a Guard. The store
// compares them in the transaction, under the lock that orders the log. If they changed, the service reads again and
// decides again. So the caches below can be wrong without harm, and a post that waits behind a ban is refused.
type Service struct {
	store Store
	now   func() time.Time
	seats *lru.Cache[seat, RoomView]
	users *lru.Cache[int64, User]

	asking Asking
}

// seat is a user's view of the room of that name.
type seat struct {
	room string
	user int64
}

// decisions is how often a request is decided before it fails with ErrUnavailable.
const decisions = 5

// NewService returns a Service over store. now is the clock for sent_at.
func NewService(store Store, now func() time.Time) *Service {
	seats, _ := lru.New[seat, RoomView](100_000) // only fails for a size below 1
	users, _ := lru.New[int64, User](100_000)
	return &Service{store: store, now: now, seats: seats, users: users}
}

// Post posts a message to a room. It returns the message's event and whether this call posted it: false for a retry of
// an earlier call with the same key.
func (s *Service) Post(ctx context.Context, v Viewer, room string, d Draft) (Event, bool, error) {
	if err := d.prepare(); err != nil {
		return Event{}, false, err
	}
	key := d.key()
	var posted Event
	var fresh bool
	var a asked
	var in Room
	err := s.inRoom(ctx, v, room, func(u User, r RoomView) (err error) {
		if err := r.mayPost(s.now()); err != nil {
			return err
		}
		if err := s.checkPlace(ctx, RoomTopic(r.ID), &d); err != nil {
			return err
		}
		m, err := s.mentionsIn(ctx, r, d.Text)
		if err != nil {
			return err
		}
		if err := s.attach(ctx, u.ID, RoomTopic(r.ID), &d); err != nil {
			return err
		}
		if hooks := s.hooksIn(&r); hooks != nil {
			t := d.text(u, m, s.now())
			t.Room = r.Name
			if err := s.callHooks(ctx, &a, hooks, u.ID, RoomTopic(r.ID), key, t); err != nil {
				return err
			}
			d.marks, in = a.verdict.Marks, r.Room
		}
		message := chatMessage(r.Room, u, &d, m, s.now())
		message.Apart, message.Report = r.apart(), a.verdict.Report
		posted, fresh, err = s.store.Post(ctx, guard(r.Room, u), message, key)
		return err
	})
	if err == nil && !fresh {
		posted, err = s.present(ctx, v, posted)
	}
	if err == nil && fresh {
		s.notifyReport(ctx, &a, RoomTopic(in.ID), in.Name)
	}
	return posted, fresh, err
}

// Create creates a room with the caller as its owner.
func (s *Service) Create(ctx context.Context, v Viewer, r Room) (RoomView, error) {
	var err error
	if v.Only != nil {
		return RoomView{}, ErrTokenScope
	}
	if r.Name, err = PrepareRoomName("name", r.Name); err != nil {
		return RoomView{}, err
	}
	if err := errors.Join(checkTitle(r.Title), r.checkReceipts(), checkSlowMode(r.SlowMode)); err != nil {
		return RoomView{}, err
	}
	return s.create(ctx, v, r)
}

// Enter makes the caller a member of the room of that name, and creates it if it does not exist. It reports whether it
// created it, and returns ErrRoomExists for a room that the caller may not see.
func (s *Service) Enter(ctx context.Context, v Viewer, room string) (RoomView, bool, error) {
	name, err := PrepareRoomName("room", room)
	if err != nil {
		return RoomView{}, false, err
	}
	var view RoomView
	join := func() error {
		return s.inRoomNow(ctx, v, name, func(u User, r RoomView) error {
			if err := r.mayRead(); err != nil {
				return err
			}
			if view = r; r.Role != "" {
				return nil
			}
			view.Role = RoleMember
			return s.store.SetMember(ctx, guard(r.Room, u), r.ID, u.ID, "", RoleMember, memberAdded(r.Room, u, u, RoleMember, s.now()))
		})
	}
	err = join()
	if err == nil {
		err = s.count(ctx, v, &view)
	}
	if !errors.Is(err, ErrRoomNotFound) || v.Only != nil {
		return view, false, err
	}
	view, err = s.create(ctx, v, Room{Name: name, Visibility: Public, Posting: PostingEveryone})
	if !errors.Is(err, ErrRoomExists) {
		return view, err == nil, err
	}
	// Another call was faster, or the room exists and the caller cannot see it.
	if err = join(); errors.Is(err, ErrRoomNotFound) {
		err = ErrRoomExists
	}
	return view, false, err
}

// Room returns a room as the caller sees it. Site admins see every room, but not its messages.
func (s *Service) Room(ctx context.Context, v Viewer, room string) (RoomView, error) {
	view, err := s.view(ctx, v, room, (*RoomView).mayKnow)
	if err == nil {
		err = s.count(ctx, v, &view)
	}
	return view, err
}

// count fills in the unread counts of a room.
func (s *Service) count(ctx context.Context, v Viewer, r *RoomView) (err error) {
	if r.Unread, err = s.store.Unread(ctx, v.User, RoomTopic(r.ID)); err != nil {
		return err
	}
	r.Mentions, err = s.store.UnreadMentions(ctx, v.User, r.ID)
	return err
}

// Readable returns a room that the caller may read and follow.
func (s *Service) Readable(ctx context.Context, v Viewer, room string) (RoomView, error) {
	return s.view(ctx, v, room, (*RoomView).mayRead)
}

// view returns the current state of a room if the rule may allows v to see it.
func (s *Service) view(ctx context.Context, v Viewer, room string, may func(*RoomView) error) (RoomView, error) {
	name, err := PrepareRoomName("room", room)
	if err != nil {
		return RoomView{}, err
	}
	view, err := s.store.Room(ctx, name, v.User)
	if err == nil && !v.Reaches(view.ID) {
		err = ErrRoomNotFound
	}
	if err == nil {
		err = may(&view)
	}
	if err != nil {
		return RoomView{}, err
	}
	return view, nil
}

// Rooms lists the rooms that the caller may see, by name, starting after the name after.
func (s *Service) Rooms(ctx context.Context, v Viewer, after string, limit int) ([]RoomView, error) {
	if after != "" {
		var err error
		if after, err = PrepareRoomName("after", after); err != nil {
			return nil, err
		}
	}
	rooms, err := s.store.Rooms(ctx, v, after, limit)
	for i := range rooms {
		if err == nil {
			err = s.count(ctx, v, &rooms[i])
		}
	}
	return rooms, err
}

// History returns a page of a room's messages.
func (s *Service) History(ctx context.Context, v Viewer, room string, p Page) (MessagePage, error) {
	view, err := s.Readable(ctx, v, room)
	if err != nil {
		return MessagePage{}, err
	}
	return s.history(ctx, v, RoomTopic(view.ID), p)
}

// MayPost returns the room if the caller may post to it now.
func (s *Service) MayPost(ctx context.Context, v Viewer, room string) (Room, error) {
	view, err := s.view(ctx, v, room, func(r *RoomView) error { return r.mayPost(s.now()) })
	return view.Room, err
}

// OpenRooms reports whether a prepared name is known to be a room that everyone may follow.
type OpenRooms func(name string) (room Room, known bool)

// Follow returns the named rooms that the caller may follow now, and the names of the others. It never answers from a
// cache: a stream relies on it after it has attached. open answers first; nil knows no room.
func (s *Service) Follow(ctx context.Context, v Viewer, names []string, open OpenRooms) (rooms []Room, missing []string, err error) {
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		name, err := PrepareRoomName("room", n)
		if err != nil && utf8.ValidString(n) { // an invalid name is like a room that does not exist
			missing = append(missing, n)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		if open != nil {
			if room, known := open(name); known && v.Reaches(room.ID) {
				rooms = append(rooms, room)
				continue
			}
		}
		view, err := s.Readable(ctx, v, name)
		switch {
		case errors.Is(err, ErrRoomNotFound):
			missing = append(missing, name)
		case err != nil:
			return nil, nil, err
		default:
			rooms = append(rooms, view.Room)
		}
	}
	return rooms, missing, nil
}

// OpenRoom returns the room with that prepared name, or ErrRoomNotFound if not everyone may follow it. Like Follow, it
// never answers from a cache.
func (s *Service) OpenRoom(ctx context.Context, name string) (Room, error) {
	return s.store.OpenRoom(ctx, name)
}

// Memberships lists the rooms that the caller is a member of, by name. Like Follow, it never answers from a cache.
func (s *Service) Memberships(ctx context.Context, v Viewer) ([]Membership, error) {
	all, err := s.store.Memberships(ctx, v.User)
	return slices.DeleteFunc(all, func(m Membership) bool { return !v.Reaches(m.ID) }), err
}

// RoomNames returns the names of the existing rooms with these numbers.
func (s *Service) RoomNames(ctx context.Context, rooms []int64) (map[int64]string, error) {
	if len(rooms) == 0 {
		return nil, nil
	}
	return s.store.RoomNames(ctx, rooms)
}

// Forget drops a user's row from the cache: it has changed.
func (s *Service) Forget(user int64) { s.users.Remove(user) }

// ForgetAll empties the caches: the store is a different one.
func (s *Service) ForgetAll() {
	s.users.Purge()
	s.seats.Purge()
}

func (s *Service) create(ctx context.Context, v Viewer, r Room) (RoomView, error) {
	err := s.decide(func(fresh bool) error {
		u, _, err := s.user(ctx, v.User, fresh)
		if err != nil {
			return err
		}
		r.CreatedBy, r.CreatedAt = u.Name, s.now()
		made, err := s.store.CreateRoom(ctx, guard(Room{}, u), r, func(r Room) []Event {
			return []Event{memberAdded(r, u, u, RoleOwner, r.CreatedAt)}
		})
		if err == nil {
			r = made
		}
		return err
	})
	return RoomView{Room: r, Role: RoleOwner}, err
}

// inRoom runs f, which decides and writes, with the caller and their view of the room. These may come from the cache:
// if the store finds them stale, or f refuses, f runs again on current data. So f must write: that is where the guard
// is compared.
func (s *Service) inRoom(ctx context.Context, v Viewer, room string, f func(User, RoomView) error) error {
	return s.in(ctx, v, room, true, f)
}

// inRoomNow is inRoom for an f that may have nothing to write: it never gets cached data.
func (s *Service) inRoomNow(ctx context.Context, v Viewer, room string, f func(User, RoomView) error) error {
	return s.in(ctx, v, room, false, f)
}

func (s *Service) in(ctx context.Context, v Viewer, room string, remembering bool, f func(User, RoomView) error) error {
	name, err := PrepareRoomName("room", room)
	if err != nil {
		return err
	}
	return s.decide(func(fresh bool) error {
		fresh = fresh || !remembering
		u, remembered, err := s.user(ctx, v.User, fresh)
		if err != nil {
			return err
		}
		r, alsoRemembered, err := s.seat(ctx, name, u, fresh)
		if err == nil && !v.Reaches(r.ID) {
			err = ErrRoomNotFound
		}
		if err == nil {
			err = f(u, r)
		}
		// The store checks slow mode after the guard.
		if err != nil && (remembered || alsoRemembered) && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrSlowMode) {
			return ErrStale
		}
		return err
	})
}

// decide runs f until it does not return ErrStale; from the second time on, without cached data.
func (s *Service) decide(f func(fresh bool) error) error {
	for i := range decisions {
		if err := f(i > 0); !errors.Is(err, ErrStale) {
			return err
		}
	}
	return ErrUnavailable
}

func guard(r Room, u User) Guard {
	return Guard{Room: r.ID, RoomVersion: r.Version, User: u.ID, UserVersion: u.Version}
}

// seat returns the room with that prepared name as u sees it, and whether it comes from the cache. Its information
// about u's rights is as old as its version, which the guard compares. A room that u may not know about is not cached;
// otherwise asking again would be faster than for a room that does not exist.
func (s *Service) seat(ctx context.Context, name string, u User, fresh bool) (view RoomView, remembered bool, err error) {
	key := seat{name, u.ID}
	if !fresh {
		view, remembered = s.seats.Get(key)
	}
	if !remembered {
		if view, err = s.store.Room(ctx, name, u.ID); err != nil {
			return RoomView{}, false, err
		}
	}
	view.Admin = u.Admin // covered by the user's version
	if !remembered && view.mayKnow() == nil {
		s.seats.Add(key, view)
	}
	return view, remembered, nil
}

// user returns the caller's row, and whether it comes from the cache.
func (s *Service) user(ctx context.Context, id int64, fresh bool) (u User, remembered bool, err error) {
	if !fresh {
		u, remembered = s.users.Get(id)
	}
	if !remembered {
		if u, err = s.store.User(ctx, id); errors.Is(err, ErrUserNotFound) {
			return User{}, false, ErrGone
		} else if err != nil {
			return User{}, false, err
		}
		s.users.Add(id, u)
	}
	if u.Disabled {
		return User{}, remembered, ErrGone
	}
	return u, remembered, nil
}
