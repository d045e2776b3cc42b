package chat

import (
	"context"
	"errors"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Service holds every rule. Its methods may be called concurrently.
//
// It decides on rows that it may have read a while ago, and hands their versions to the store as a Guard;
// the store compares them in the transaction, under the lock that orders the log, and where they changed
// the service reads and decides again. So the caches below can be wrong without harm, and a post that waits
// behind a ban is refused.
type Service struct {
	store Store
	now   func() time.Time
	rooms *lru.Cache[string, Room] // by name
	users *lru.Cache[int64, User]
}

// decisions is how often a request is decided anew before it is refused as ErrUnavailable.
const decisions = 5

// NewService returns a Service over store. now is the clock of sent_at.
func NewService(store Store, now func() time.Time) *Service {
	rooms, _ := lru.New[string, Room](10_000) // fails for a size below 1 only
	users, _ := lru.New[int64, User](100_000)
	return &Service{store: store, now: now, rooms: rooms, users: users}
}

// Post puts a message into a room. It returns the message's event and whether this call posted it: false is
// a retry of an earlier one with the same key.
func (s *Service) Post(ctx context.Context, v Viewer, room string, d Draft) (Event, bool, error) {
	name, err := PrepareRoomName("room", room)
	if err != nil {
		return Event{}, false, err
	}
	if err := d.check(); err != nil {
		return Event{}, false, err
	}
	var key *Key
	if d.Key != "" {
		key = &Key{Name: d.Key, Fingerprint: d.fingerprint()}
	}
	var posted Event
	var fresh bool
	err = s.decide(func() error {
		u, err := s.user(ctx, v.User)
		if err != nil {
			return err
		}
		r, err := s.room(ctx, name)
		if err != nil {
			return err
		}
		if !v.Reaches(r.ID) {
			return ErrRoomNotFound
		}
		if err := mayPost(r, u); err != nil {
			return err
		}
		posted, fresh, err = s.store.Post(ctx, guard(r, u), chatMessage(r, u, &d, s.now()), key)
		if errors.Is(err, ErrStale) {
			s.rooms.Remove(name)
			s.users.Remove(u.ID)
		}
		return err
	})
	return posted, fresh, err
}

// Create makes a room with the caller as its owner.
func (s *Service) Create(ctx context.Context, v Viewer, r Room) (RoomView, error) {
	var err error
	if v.Only != nil {
		return RoomView{}, ErrTokenScope
	}
	if r.Name, err = PrepareRoomName("name", r.Name); err != nil {
		return RoomView{}, err
	}
	if err := checkTitle(r.Title); err != nil {
		return RoomView{}, err
	}
	return s.create(ctx, v, r)
}

// Enter makes the caller a member of a room by its name, and makes the room where there is none. It reports
// whether it made it.
func (s *Service) Enter(ctx context.Context, v Viewer, room string) (RoomView, bool, error) {
	name, err := PrepareRoomName("room", room)
	if err != nil {
		return RoomView{}, false, err
	}
	var view RoomView
	made := false
	err = s.decide(func() error {
		view, err = s.visible(ctx, v, name)
		if errors.Is(err, ErrRoomNotFound) && v.Only == nil {
			view, err = s.create(ctx, v, Room{Name: name, Visibility: Public, Posting: PostingEveryone})
			if errors.Is(err, ErrRoomExists) {
				return ErrStale // somebody was faster
			}
			made = err == nil
			return err
		}
		if err != nil || view.Role != "" {
			return err
		}
		u, err := s.user(ctx, v.User)
		if err != nil {
			return err
		}
		view.Role = RoleMember
		err = s.store.SetMember(ctx, guard(view.Room, u), view.ID, u.ID, RoleMember,
			memberAdded(view.Room, u, u, RoleMember, s.now()))
		if errors.Is(err, ErrStale) {
			s.users.Remove(u.ID)
		}
		return err
	})
	return view, made, err
}

// Room is one room as the caller sees it.
func (s *Service) Room(ctx context.Context, v Viewer, room string) (RoomView, error) {
	name, err := PrepareRoomName("room", room)
	if err != nil {
		return RoomView{}, err
	}
	return s.visible(ctx, v, name)
}

// visible is the room with that prepared name, if v may see it.
func (s *Service) visible(ctx context.Context, v Viewer, name string) (RoomView, error) {
	view, err := s.store.Room(ctx, name, v.User)
	if err == nil && !v.Reaches(view.ID) {
		return RoomView{}, ErrRoomNotFound
	}
	return view, err
}

// Rooms lists the rooms that the caller may see, by name, behind after.
func (s *Service) Rooms(ctx context.Context, v Viewer, after string, limit int) ([]RoomView, error) {
	if after != "" {
		var err error
		if after, err = PrepareRoomName("after", after); err != nil {
			return nil, err
		}
	}
	return s.store.Rooms(ctx, v, after, limit)
}

// History is a page of a room's messages.
func (s *Service) History(ctx context.Context, v Viewer, room string, p Page) (MessagePage, error) {
	view, err := s.Room(ctx, v, room)
	if err != nil {
		return MessagePage{}, err
	}
	return s.store.Messages(ctx, view.ID, p)
}

// MayPost is the room, if the caller may post into it now.
func (s *Service) MayPost(ctx context.Context, v Viewer, room string) (Room, error) {
	view, err := s.Room(ctx, v, room)
	if err != nil {
		return Room{}, err
	}
	u, err := s.user(ctx, v.User)
	if err != nil {
		return Room{}, err
	}
	return view.Room, mayPost(view.Room, u)
}

// Follow says which of the named rooms the caller may follow now, and which not. It never answers from a
// cache: a stream relies on it after it has attached.
func (s *Service) Follow(ctx context.Context, v Viewer, names []string) (rooms []Room, missing []string, err error) {
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		name, err := PrepareRoomName("room", n)
		if err != nil {
			return nil, nil, err
		}
		if seen[name] {
			continue
		}
		seen[name] = true
		view, err := s.visible(ctx, v, name)
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

// Memberships lists the rooms that the caller is a member of, by name. It never answers from a cache, as Follow.
func (s *Service) Memberships(ctx context.Context, v Viewer) ([]Membership, error) {
	all, err := s.store.Memberships(ctx, v.User)
	return slices.DeleteFunc(all, func(m Membership) bool { return !v.Reaches(m.ID) }), err
}

// RoomNames gives the names of the rooms with these numbers, of those that are there.
func (s *Service) RoomNames(ctx context.Context, rooms []int64) (map[int64]string, error) {
	if len(rooms) == 0 {
		return nil, nil
	}
	return s.store.RoomNames(ctx, rooms)
}

// Forget has the service read a user's row anew: it has changed.
func (s *Service) Forget(user int64) { s.users.Remove(user) }

func (s *Service) create(ctx context.Context, v Viewer, r Room) (RoomView, error) {
	err := s.decide(func() error {
		u, err := s.user(ctx, v.User)
		if err != nil {
			return err
		}
		r.CreatedBy, r.CreatedAt = u.Name, s.now()
		made, err := s.store.CreateRoom(ctx, guard(Room{}, u), r, func(r Room) []Event {
			return []Event{memberAdded(r, u, u, RoleOwner, r.CreatedAt)}
		})
		if errors.Is(err, ErrStale) {
			s.users.Remove(u.ID)
		}
		if err == nil {
			r = made
		}
		return err
	})
	return RoomView{Room: r, Role: RoleOwner}, err
}

// decide runs f until it is not ErrStale.
func (s *Service) decide(f func() error) error {
	for range decisions {
		if err := f(); !errors.Is(err, ErrStale) {
			return err
		}
	}
	return ErrUnavailable
}

func mayPost(r Room, u User) error {
	// Memberships come with private rooms; until then every room is public and open to post into.
	if r.Visibility != Public {
		return ErrRoomNotFound
	}
	if r.Posting != PostingEveryone && !u.Admin {
		return ErrMayNotPost
	}
	return nil
}

func guard(r Room, u User) Guard {
	return Guard{Room: r.ID, RoomVersion: r.Version, User: u.ID, UserVersion: u.Version}
}

func (s *Service) room(ctx context.Context, name string) (Room, error) {
	if r, ok := s.rooms.Get(name); ok {
		return r, nil
	}
	view, err := s.store.Room(ctx, name, 0)
	if err != nil {
		return Room{}, err
	}
	s.rooms.Add(name, view.Room)
	return view.Room, nil
}

// user is the caller's row.
func (s *Service) user(ctx context.Context, id int64) (User, error) {
	u, ok := s.users.Get(id)
	if !ok {
		var err error
		if u, err = s.store.User(ctx, id); errors.Is(err, ErrUserNotFound) {
			return User{}, ErrGone
		} else if err != nil {
			return User{}, err
		}
		s.users.Add(id, u)
	}
	if u.Disabled {
		return User{}, ErrGone
	}
	return u, nil
}
