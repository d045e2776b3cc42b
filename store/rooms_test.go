package store

import (
	"errors"
	"testing"

	"tandem/chat"
)

// What was decided before somebody lost a right, and comes to the store after it, changes nothing.
func TestAGuardSeesEveryLostRight(t *testing.T) { onBoth(t, testAGuardSeesEveryLostRight) }

func testAGuardSeesEveryLostRight(t *testing.T, p place) {
	s, ada, _ := world(t, p, nil)
	a, _, err := s.CreateUser(t.Context(), "bob", "hash", nil)
	if err != nil {
		t.Fatal(err)
	}
	bob := chat.User{ID: a.ID, Name: "bob"}
	none := chat.Guard{}
	event := func(r chat.Room) chat.Event {
		return chat.Event{Topic: chat.RoomTopic(r.ID), Type: "x", Author: ada.ID, Body: `"x":1}`}
	}
	yes := true
	for name, lose := range map[string]func(chat.Room) error{
		"removed": func(r chat.Room) error {
			return s.RemoveMember(t.Context(), none, r.ID, bob.ID, []chat.Event{event(r)})
		},
		"demoted": func(r chat.Room) error {
			return s.SetMember(t.Context(), none, r.ID, bob.ID, chat.RoleModerator, chat.RoleMember, event(r))
		},
		"banned": func(r chat.Room) error {
			return s.Ban(t.Context(), chat.Guard{User: ada.ID, UserVersion: ada.Version}, r.ID, bob.ID, []chat.Event{event(r)})
		},
		"closed": func(r chat.Room) error {
			r.Visibility = chat.Private
			_, err := s.ChangeRoom(t.Context(), none, r, []chat.Event{event(r)})
			return err
		},
		"deleted": func(r chat.Room) error { return s.DeleteRoom(t.Context(), none, r.ID, event(r)) },
		"disabled": func(chat.Room) error {
			_, err := s.ChangeAccount(t.Context(), none, bob.ID, chat.AccountChange{Disabled: &yes})
			return err
		},
	} {
		r := makeRoom(t, s, ada, name)
		if err := s.SetMember(t.Context(), none, r.ID, bob.ID, "", chat.RoleModerator, event(r)); err != nil {
			t.Fatal(err)
		}
		if bob, err = s.User(t.Context(), bob.ID); err != nil {
			t.Fatal(err)
		}
		view, err := s.Room(t.Context(), name, bob.ID)
		if err != nil || view.Role != chat.RoleModerator || view.Version != r.Version {
			t.Fatalf("%s: bob, who was made a moderator, sees %+v, %v", name, view, err)
		}
		decided := guardOf(bob, view.Room)
		if _, _, err := s.Post(t.Context(), decided, message(bob, r, "before"), nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := lose(r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, _, err := s.Post(t.Context(), decided, message(bob, r, "after"), nil); !errors.Is(err, chat.ErrStale) {
			t.Errorf("%s: a post that was decided before gives %v", name, err)
		}
		if name == "disabled" {
			no := false
			if _, err := s.ChangeAccount(t.Context(), none, bob.ID, chat.AccountChange{Disabled: &no}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Nothing is said twice: what is so already appends no event, and another role than the decision's is stale.
func TestMembershipsChangeOnce(t *testing.T) { onBoth(t, testMembershipsChangeOnce) }

func testMembershipsChangeOnce(t *testing.T, p place) {
	s, ada, r := world(t, p, nil)
	a, _, err := s.CreateUser(t.Context(), "bob", "hash", nil)
	if err != nil {
		t.Fatal(err)
	}
	g := chat.Guard{User: ada.ID, UserVersion: ada.Version}
	e := []chat.Event{{Topic: chat.RoomTopic(r.ID), Type: "x", Author: ada.ID, Body: `"x":1}`}}
	for i, step := range []struct {
		do    func() error
		err   error
		heads int64 // events after it
	}{
		{func() error { return s.RemoveMember(t.Context(), g, r.ID, a.ID, e) }, nil, 0},
		{func() error { return s.SetMember(t.Context(), g, r.ID, a.ID, "", chat.RoleMember, e[0]) }, nil, 1},
		{func() error { return s.SetMember(t.Context(), g, r.ID, a.ID, "", chat.RoleMember, e[0]) }, nil, 1},
		{func() error { return s.SetMember(t.Context(), g, r.ID, a.ID, "", chat.RoleOwner, e[0]) }, chat.ErrStale, 1},
		{func() error { return s.Ban(t.Context(), g, r.ID, a.ID, e) }, nil, 2},
		{func() error { return s.Ban(t.Context(), g, r.ID, a.ID, e) }, nil, 2},
		{func() error { return s.RemoveMember(t.Context(), g, r.ID, a.ID, e) }, nil, 2},
		{func() error { return s.Unban(t.Context(), g, r.ID, a.ID) }, nil, 2},
		{func() error { return s.Ban(t.Context(), g, r.ID, a.ID, e) }, nil, 3},
	} {
		if err := step.do(); !errors.Is(err, step.err) {
			t.Errorf("step %d: %v", i, err)
		}
		if state, err := s.Head(t.Context()); err != nil || state.Head != step.heads {
			t.Errorf("after step %d the head is %d, %v; want %d", i, state.Head, err, step.heads)
		}
	}
}
