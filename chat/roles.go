package chat

import "time"

// What the viewer of a room may do there. A decision may be made on a cached view too: the store compares the versions
// of room and user, and everything that removes one of these rights moves one of them.

// mayRead returns ErrRoomNotFound if the room does not exist for the viewer: a private room for non-members, any room
// for banned users.
func (r *RoomView) mayRead() error {
	if r.Banned || r.Visibility != Public && r.Role == "" {
		return ErrRoomNotFound
	}
	return nil
}

// mayPost returns ErrRoomNotFound, ErrMuted or ErrMayNotPost.
func (r *RoomView) mayPost(now time.Time) error {
	if err := r.mayBeHeard(now); err != nil {
		return err
	}
	if r.Posting != PostingEveryone && r.rank() < moderator {
		return ErrMayNotPost
	}
	return nil
}

// mayBeHeard returns ErrRoomNotFound or ErrMuted.
func (r *RoomView) mayBeHeard(now time.Time) error {
	if err := r.mayRead(); err != nil {
		return err
	}
	if wait := r.MutedUntil.Sub(now); wait > 0 {
		return &NotYet{Err: ErrMuted, Until: r.MutedUntil, Wait: wait}
	}
	return nil
}

// mayKnow is mayRead for everything but messages: site admins manage rooms without being members.
func (r *RoomView) mayKnow() error {
	if r.Admin {
		return nil
	}
	return r.mayRead()
}

// mayAct returns ErrRoomNotFound, or ErrForbidden if the viewer's rank is below least.
func (r *RoomView) mayAct(least rank) error {
	if err := r.mayKnow(); err != nil {
		return err
	}
	if r.rank() < least {
		return ErrForbidden
	}
	return nil
}

// rank orders roles by what they may do in a room.
type rank int

const (
	stranger rank = iota
	member
	moderator
	owner
	siteAdmin
)

func (r Role) rank() rank {
	switch r {
	case RoleOwner:
		return owner
	case RoleModerator:
		return moderator
	case RoleMember:
		return member
	}
	return stranger
}

func (r *RoomView) rank() rank {
	if r.Admin {
		return siteAdmin
	}
	return r.Role.rank()
}

// mayRule reports whether the viewer may change the membership of a user with the role other: owners anyone's, others
// only those of lower rank.
func (r *RoomView) mayRule(other Role) bool {
	return r.rank() >= owner || r.rank() >= moderator && r.rank() > other.rank()
}
