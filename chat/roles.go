package chat

// What the viewer of a room may do there. A decision that is carried out is made on a remembered view too: the store
// compares the versions of room and user, and whatever takes one of these rights away moves one of them.

// mayRead returns ErrRoomNotFound to those for whom the room does not exist: a private one for who is no member, and
// every room for who is banned.
func (r *RoomView) mayRead() error {
	if r.Banned || r.Visibility != Public && r.Role == "" {
		return ErrRoomNotFound
	}
	return nil
}

// mayPost returns ErrRoomNotFound or ErrMayNotPost.
func (r *RoomView) mayPost() error {
	if err := r.mayRead(); err != nil {
		return err
	}
	if r.Posting != PostingEveryone && r.rank() < moderator {
		return ErrMayNotPost
	}
	return nil
}

// mayKnow is mayRead for what is no message: the site's admins administer rooms without being members.
func (r *RoomView) mayKnow() error {
	if r.Admin {
		return nil
	}
	return r.mayRead()
}

// mayAct returns ErrRoomNotFound, or ErrForbidden for who ranks below least.
func (r *RoomView) mayAct(least rank) error {
	if err := r.mayKnow(); err != nil {
		return err
	}
	if r.rank() < least {
		return ErrForbidden
	}
	return nil
}

// rank orders what people may do in a room.
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

// mayRule tells whether the viewer may change the standing of who has the role other: owners anybody's, and whoever
// else may only of those below them.
func (r *RoomView) mayRule(other Role) bool {
	return r.rank() >= owner || r.rank() >= moderator && r.rank() > other.rank()
}
