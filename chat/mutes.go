package chat

import (
	"context"
	"time"
)

const (
	// MaxMute is how long a mute can last. To keep a user from posting for good, ban them.
	MaxMute = 365 * 24 * time.Hour
	// MaxSlowMode is the longest slow mode, in seconds.
	MaxSlowMode = 6 * 60 * 60
)

// Mute is a muted user of a room: they can read but not post.
type Mute struct {
	Name  string
	By    string
	Since time.Time
	Until time.Time
}

// Mute mutes a user in a room, or sets a new end. It returns ErrForbidden, ErrUserNotFound or ErrLimitReached.
func (s *Service) Mute(ctx context.Context, v Viewer, room, username string, seconds int64) (Mute, error) {
	if seconds < 1 || seconds > int64(MaxMute/time.Second) {
		return Mute{}, invalid("seconds", "a mute can last from 1 second to a year, 31,536,000 seconds")
	}
	var m Mute
	err := s.toUser(ctx, v, room, username, moderator, func(u User, r RoomView, target User, has Member) error {
		if target.ID == u.ID || target.Admin && !u.Admin || !r.mayRule(has.Role) {
			return ErrForbidden
		}
		now := s.now().Truncate(time.Millisecond)
		m = Mute{Name: target.Name, By: u.Name, Since: now, Until: now.Add(time.Duration(seconds) * time.Second)}
		muted := memberMuted(TypeMemberMuted, r.Room, u, target, FormatTime(m.Until), now)
		if r.Visibility != Public && has.Role == "" {
			muted.Also = NoTopic // do not tell a non-member the name of a private room
		}
		return s.store.Mute(ctx, guard(r.Room, u), r.ID, target.ID, m.Until, muted)
	})
	return m, err
}

// Unmute ends a mute, for users who could have muted. It returns ErrForbidden or ErrUserNotFound.
func (s *Service) Unmute(ctx context.Context, v Viewer, room, username string) error {
	return s.toUser(ctx, v, room, username, moderator, func(u User, r RoomView, target User, has Member) error {
		if target.Admin && !u.Admin || !r.mayRule(has.Role) {
			return ErrForbidden
		}
		unmuted := memberMuted(TypeMemberUnmuted, r.Room, u, target, "", s.now())
		if r.Visibility != Public && has.Role == "" {
			unmuted.Also = NoTopic
		}
		return s.store.Unmute(ctx, guard(r.Room, u), r.ID, target.ID, unmuted)
	})
}

// Mutes lists the users who are muted in a room now, by name, starting after the name after.
func (s *Service) Mutes(ctx context.Context, v Viewer, room, after string, limit int) ([]Mute, error) {
	r, err := s.view(ctx, v, room, func(r *RoomView) error { return r.mayAct(moderator) })
	if err != nil {
		return nil, err
	}
	return s.store.Mutes(ctx, r.ID, s.now(), after, limit)
}

// memberMuted returns the event of muting target until then, or of ending the mute.
func memberMuted(typ string, room Room, user, target User, until string, at time.Time) Event {
	return Event{
		Topic:  RoomTopic(room.ID),
		Also:   InboxTopic(target.ID),
		Type:   typ,
		Author: user.ID,
		Body: body(struct {
			Room   string `json:"room"`
			User   string `json:"user"`
			Target string `json:"target"`
			Until  string `json:"until,omitempty"`
			SentAt string `json:"sent_at"`
		}{room.Name, user.Name, target.Name, until, FormatTime(at)}),
	}
}

// apart returns the time that must pass between two messages of the viewer in the room.
func (r *RoomView) apart() time.Duration {
	if r.SlowMode == 0 || r.rank() >= moderator {
		return 0
	}
	return time.Duration(r.SlowMode) * time.Second
}

func checkSlowMode(seconds int) error {
	if seconds < 0 || seconds > MaxSlowMode {
		return invalid("slow_mode", "slow mode must be 0, for none, to 21,600 seconds")
	}
	return nil
}
