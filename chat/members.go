package chat

import "context"

// Members lists a room's members, by name, starting after the name after.
func (s *Service) Members(ctx context.Context, v Viewer, room, after string, limit int) ([]Member, error) {
	r, err := s.Room(ctx, v, room)
	if err != nil {
		return nil, err
	}
	return s.store.Members(ctx, r.ID, after, limit)
}

// SetMember makes a user a member of a room, or gives them another role. It returns ErrForbidden, ErrUserNotFound,
// ErrBanned or ErrLastOwner.
func (s *Service) SetMember(ctx context.Context, v Viewer, room, username string, role Role) (Member, error) {
	var m Member
	err := s.toUser(ctx, v, room, username, moderator, func(u User, r RoomView, target User, has Member) error {
		m = has
		switch {
		case has.Role == role:
			return nil
		case r.rank() < owner && (role != RoleMember || has.Role != ""):
			return ErrForbidden // moderators can add members, nothing more
		case has.Banned:
			return ErrBanned
		}
		if err := s.keepsOwner(ctx, r, has); err != nil {
			return err
		}
		m.Role = role
		at := s.now()
		if has.Role == "" {
			m.Since = at
		}
		return s.store.SetMember(ctx, guard(r.Room, u), r.ID, target.ID, has.Role, role, memberAdded(r.Room, u, target, role, at))
	})
	return m, err
}

// RemoveMember ends a membership: the caller's own (leaving), or that of a lower role. It returns ErrForbidden,
// ErrUserNotFound or ErrLastOwner.
func (s *Service) RemoveMember(ctx context.Context, v Viewer, room, username string) error {
	return s.toUser(ctx, v, room, username, stranger, func(u User, r RoomView, target User, has Member) error {
		if target.ID != u.ID && !r.mayRule(has.Role) {
			return ErrForbidden
		}
		if has.Role == "" {
			return nil
		}
		if err := s.keepsOwner(ctx, r, has); err != nil {
			return err
		}
		events := []Event{memberRemoved(r.Room, u, target, s.now())}
		if r.Visibility != Public {
			events = append(events, ControlEvent{User: target.ID, Room: r.ID}.Event(u.ID))
		}
		return s.store.RemoveMember(ctx, guard(r.Room, u), r.ID, target.ID, events)
	})
}

// Bans lists a room's bans, by name, starting after the name after.
func (s *Service) Bans(ctx context.Context, v Viewer, room, after string, limit int) ([]Ban, error) {
	r, err := s.Room(ctx, v, room)
	if err == nil {
		err = r.mayAct(moderator)
	}
	if err != nil {
		return nil, err
	}
	return s.store.Bans(ctx, r.ID, after, limit)
}

// Ban removes a user from a room for good: to them it no longer exists. It returns ErrForbidden, ErrUserNotFound or
// ErrLastOwner.
func (s *Service) Ban(ctx context.Context, v Viewer, room, username string) error {
	return s.toUser(ctx, v, room, username, moderator, func(u User, r RoomView, target User, has Member) error {
		switch {
		case target.ID == u.ID || target.Admin && !u.Admin || !r.mayRule(has.Role):
			return ErrForbidden
		case has.Banned:
			return nil
		}
		if err := s.keepsOwner(ctx, r, has); err != nil {
			return err
		}
		removed := memberRemoved(r.Room, u, target, s.now())
		if r.Visibility != Public && has.Role == "" {
			removed.Also = NoTopic // do not tell a non-member the name of a private room
		}
		return s.store.Ban(ctx, guard(r.Room, u), r.ID, target.ID, []Event{removed, ControlEvent{User: target.ID, Room: r.ID}.Event(u.ID)})
	})
}

// Unban ends a ban. It returns ErrForbidden or ErrUserNotFound.
func (s *Service) Unban(ctx context.Context, v Viewer, room, username string) error {
	return s.toUser(ctx, v, room, username, moderator, func(u User, r RoomView, target User, _ Member) error {
		return s.store.Unban(ctx, guard(r.Room, u), r.ID, target.ID)
	})
}

// toUser makes a decision about another user of the room. The caller must have the role least.
func (s *Service) toUser(ctx context.Context, v Viewer, room, username string, least rank, do func(u User, r RoomView, target User, has Member) error) error {
	name, err := PrepareUsername(username)
	if err != nil {
		return err
	}
	return s.inRoomNow(ctx, v, room, func(u User, r RoomView) error {
		if err := r.mayAct(least); err != nil {
			return err
		}
		target, err := s.store.UserNamed(ctx, name)
		if err != nil {
			return err
		}
		// Read this after the room's version, which losing a right moves: it is then at least as new.
		has, err := s.store.Member(ctx, r.ID, target.ID)
		if err != nil {
			return err
		}
		has.Name = target.Name
		return do(u, r, target, has)
	})
}

// keepsOwner returns ErrLastOwner if a private room would lose its last owner.
func (s *Service) keepsOwner(ctx context.Context, r RoomView, has Member) error {
	if r.Visibility == Public || has.Role != RoleOwner {
		return nil
	}
	n, err := s.store.Owners(ctx, r.ID)
	if err == nil && n < 2 {
		err = ErrLastOwner
	}
	return err
}
