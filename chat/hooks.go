package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// MaxRoomHooks is how many hooks a room can have; MaxSiteHooks, how many hooks there can be for all rooms.
	MaxRoomHooks = 20
	MaxSiteHooks = 20
	// MaxUserHooks is how many existing hooks of rooms a user can have created.
	MaxUserHooks = 100
	// MaxLag bounds the count of events that a hook still has to send.
	MaxLag = 10_000
)

// ErrNoHook means that a hook was deleted or never existed.
var ErrNoHook = errors.New("no such hook")

// hookTypes are the types of room events.
var hookTypes = []string{
	TypeChatMessage, TypeMessageEdited, TypeMessageDeleted, TypeReactionAdded, TypeReactionRemoved, TypeMessagePinned,
	TypeMessageUnpinned, TypeCustom, TypeRoomUpdated, TypeRoomDeleted, TypeMemberAdded, TypeMemberRemoved, TypeMemberMuted, TypeMemberUnmuted,
}

// Hook is a URL that a room's events, or those of all rooms, are sent to. It belongs to the room, not to its creator.
type Hook struct {
	ID        int64
	Room      int64 // the room's number; 0 for all rooms
	URL       string
	Events    []string // the types to send; nil for all
	Secret    string   // signs requests
	CreatedBy string
	CreatedAt time.Time
}

// Wants reports whether an event is sent to h. Private messages never are.
func (h *Hook) Wants(e *Event) bool {
	in := e.Topic.IsRoom()
	if h.Room != 0 {
		in = e.Topic == RoomTopic(h.Room)
	}
	return in && (h.Events == nil || slices.Contains(h.Events, e.Type))
}

// HookState is a hook with its progress.
type HookState struct {
	Hook
	Cursor       Cursor // every wanted event up to it has been sent
	Lag          int    // how many of the next MaxLag events are still to be sent
	Paused       string // the reason; empty if it is not paused
	Error        string // the reason; empty if it is not failing
	FailingSince time.Time
	RetryAt      time.Time
}

// NewHook describes a hook to create.
type NewHook struct {
	URL    string
	Events []string // nil for all
	Since  *string  // a cursor; nil for now
	Secret string
}

// HookChange is a change to a hook; nil fields keep their value.
type HookChange struct {
	URL    *string
	Events *[]string // empty for all
	Paused *string   // the reason for pausing; empty to resume
	Since  *int64    // the new position
}

// CheckURL reports whether a URL may be called; the error is for the user who entered it.
type CheckURL func(ctx context.Context, url string) error

// CreateHook creates a hook of a room, for its owners, or, if room is empty, one for all rooms, for site admins. It
// returns ErrForbidden, ErrLimitReached or an *Invalid.
func (s *Service) CreateHook(ctx context.Context, v Viewer, room string, n NewHook, check CheckURL) (made HookState, err error) {
	if err := checkHookEvents(n.Events); err != nil {
		return HookState{}, err
	}
	// Check the role first: others must not learn anything about names and addresses.
	if err := s.atHooks(ctx, v, room, func(User, Room) error { return nil }); err != nil {
		return HookState{}, err
	}
	if err := checkHookURL(ctx, n.URL, check); err != nil {
		return HookState{}, err
	}
	var since *int64
	if n.Since != nil {
		at, err := s.hookStart(ctx, *n.Since)
		if err != nil {
			return HookState{}, err
		}
		since = &at
	}
	err = s.atHooks(ctx, v, room, func(u User, r Room) (err error) {
		made, err = s.store.CreateHook(ctx, guard(r, u), Hook{
			Room: r.ID, URL: n.URL, Events: n.Events, Secret: n.Secret, CreatedBy: u.Name, CreatedAt: s.now(),
		}, since)
		return err
	})
	return made, err
}

// Hooks lists a room's hooks, or those for all rooms, oldest first.
func (s *Service) Hooks(ctx context.Context, v Viewer, room string) (all []HookState, err error) {
	err = s.atHooks(ctx, v, room, func(_ User, r Room) (err error) {
		all, err = s.store.Hooks(ctx, r.ID, 0)
		return err
	})
	return all, err
}

// Hook returns one hook of a room, or for all rooms. It returns ErrNoHook.
func (s *Service) Hook(ctx context.Context, v Viewer, room string, id int64) (h HookState, err error) {
	err = s.atHooks(ctx, v, room, func(_ User, r Room) error {
		all, err := s.store.Hooks(ctx, r.ID, id)
		if err == nil && len(all) == 0 {
			return ErrNoHook
		}
		if err == nil {
			h = all[0]
		}
		return err
	})
	return h, err
}

// ChangeHook changes a hook's URL and types, pauses or resumes it. It returns ErrNoHook or an *Invalid.
func (s *Service) ChangeHook(ctx context.Context, v Viewer, room string, id int64, url *string, events *[]string, paused *bool, check CheckURL) (HookState, error) {
	if events != nil {
		if err := checkHookEvents(*events); err != nil {
			return HookState{}, err
		}
	}
	if _, err := s.Hook(ctx, v, room, id); err != nil {
		return HookState{}, err
	}
	if url != nil {
		if err := checkHookURL(ctx, *url, check); err != nil {
			return HookState{}, err
		}
	}
	err := s.atHooks(ctx, v, room, func(u User, r Room) error {
		c := HookChange{URL: url, Events: events}
		if paused != nil {
			c.Paused = new(string)
			if *paused {
				*c.Paused = "by " + u.Name
			}
		}
		return s.store.ChangeHook(ctx, guard(r, u), r.ID, id, c)
	})
	if err != nil {
		return HookState{}, err
	}
	return s.Hook(ctx, v, room, id)
}

// ReplayHook makes a hook continue after a cursor. It returns ErrNoHook or an *Invalid.
func (s *Service) ReplayHook(ctx context.Context, v Viewer, room string, id int64, since string) (HookState, error) {
	if _, err := s.Hook(ctx, v, room, id); err != nil {
		return HookState{}, err
	}
	at, err := s.hookStart(ctx, since)
	if err != nil {
		return HookState{}, err
	}
	err = s.atHooks(ctx, v, room, func(u User, r Room) error {
		return s.store.ChangeHook(ctx, guard(r, u), r.ID, id, HookChange{Since: &at})
	})
	if err != nil {
		return HookState{}, err
	}
	return s.Hook(ctx, v, room, id)
}

// DeleteHook deletes a hook. It returns ErrNoHook.
func (s *Service) DeleteHook(ctx context.Context, v Viewer, room string, id int64) error {
	return s.atHooks(ctx, v, room, func(u User, r Room) error { return s.store.DeleteHook(ctx, guard(r, u), r.ID, id) })
}

// atHooks runs f if the caller may manage a room's hooks; without a room, those for all rooms.
func (s *Service) atHooks(ctx context.Context, v Viewer, room string, f func(User, Room) error) error {
	if room == "" {
		return s.decide(func(bool) error {
			u, err := s.admin(ctx, v)
			if err == nil {
				err = f(u, Room{})
			}
			return err
		})
	}
	return s.inRoomNow(ctx, v, room, func(u User, r RoomView) error {
		if err := r.mayAct(owner); err != nil {
			return err
		}
		return f(u, r.Room)
	})
}

// hookStart returns the id of a cursor of this log that is not ahead of it.
func (s *Service) hookStart(ctx context.Context, since string) (int64, error) {
	c, err := ParseCursor(since)
	if err != nil {
		return 0, &Invalid{"since", err.Error()}
	}
	state, err := s.store.Head(ctx)
	switch {
	case err != nil:
		return 0, err
	case c.Log != "" && c.Log != state.Name:
		return 0, &Invalid{"since", "this cursor belongs to another log"}
	case c.ID > state.Head:
		return 0, &Invalid{"since", fmt.Sprintf("the log ends at %d", state.Head)}
	}
	return c.ID, nil
}

func checkHookURL(ctx context.Context, url string, check CheckURL) error {
	if err := check(ctx, url); err != nil {
		return &Invalid{"url", err.Error()}
	}
	return nil
}

func checkHookEvents(types []string) error {
	for _, t := range types {
		if !slices.Contains(hookTypes, t) {
			return &Invalid{"events", fmt.Sprintf("there is no type %s; use one of %s", t, strings.Join(hookTypes, ", "))}
		}
	}
	return nil
}
