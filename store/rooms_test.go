package store

import (
	"errors"
	"io/fs"
	"testing"

	"tandem/chat"
)

// A decision that reaches the store after its user has lost the right changes nothing.
func TestGuardSeesEveryLostRight(t *testing.T) { onBoth(t, testGuardSeesEveryLostRight) }

func testGuardSeesEveryLostRight(t *testing.T, p place) {
	s, ada, _ := world(t, p, nil)
	bob := addUser(t, s, "bob")
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
		var err error
		if bob, err = s.User(t.Context(), bob.ID); err != nil {
			t.Fatal(err)
		}
		view, err := s.Room(t.Context(), name, bob.ID)
		if err != nil || view.Role != chat.RoleModerator || view.Version != r.Version {
			t.Fatalf("%s: view of bob, now a moderator = %+v, %v", name, view, err)
		}
		decided := guardOf(bob, view.Room)
		if _, _, err := s.Post(t.Context(), decided, message(bob, r, "before"), nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := lose(r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, _, err := s.Post(t.Context(), decided, message(bob, r, "after"), nil); !errors.Is(err, chat.ErrStale) {
			t.Errorf("%s: post authorized earlier: got %v, want chat.ErrStale", name, err)
		}
		if name == "disabled" {
			no := false
			if _, err := s.ChangeAccount(t.Context(), none, bob.ID, chat.AccountChange{Disabled: &no}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A change without effect appends no event, and a change of a role other than the decided one is stale.
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
			t.Errorf("step %d: got %v, want %v", i, err, step.err)
		}
		if state, err := s.Head(t.Context()); err != nil || state.Head != step.heads {
			t.Errorf("head after step %d = %d, %v; want %d", i, state.Head, err, step.heads)
		}
	}
}

// Rooms deleted before names were kept are known from the log.
func TestFormerRoomsAreKnownFromTheLog(t *testing.T) { onBoth(t, testFormerRoomsAreKnownFromTheLog) }

func testFormerRoomsAreKnownFromTheLog(t *testing.T, p place) {
	s, ada, first := world(t, p, nil)
	post := func(r chat.Room) int64 {
		e, _, err := s.Post(t.Context(), guardOf(ada, r), message(ada, r, "x"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	inFirst := post(first)
	deleted := chat.Event{Topic: chat.RoomTopic(first.ID), Type: chat.TypeRoomDeleted, Author: ada.ID, Body: `"room":"` + first.Name + `","user":"ada"}`}
	if err := s.DeleteRoom(t.Context(), guardOf(ada, first), first.ID, deleted); err != nil {
		t.Fatal(err)
	}
	inSecond := post(makeRoom(t, s, ada, first.Name))
	migration, err := fs.Glob(migrations, s.dialect.migrations+"/*_former.sql")
	if err != nil || len(migration) != 1 {
		t.Fatal(migration, err)
	}
	text, err := migrations.ReadFile(migration[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{`DELETE FROM former_rooms`, `UPDATE rooms SET name_since = 0`, string(text)} {
		err := s.log.do(t.Context(), func(tx *tx) error {
			_, err := tx.exec(q)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[int64]bool{inFirst: true, inSecond: false} {
		if was, err := s.WasAnother(t.Context(), first.Name, id); err != nil || was != want {
			t.Errorf("name at %d of %d and %d belongs to another room: %v, %v", id, inFirst, inSecond, was, err)
		}
	}
	r, err := s.OpenRoom(t.Context(), first.Name)
	if err != nil || r.NameSince <= inFirst || r.NameSince >= inSecond {
		t.Errorf("NameSince = %d, %v; want between %d and %d", r.NameSince, err, inFirst, inSecond)
	}
}

// A change by another process, such as the command line, applies to the next write.
func TestGuardSeesOtherProcesses(t *testing.T) { onBoth(t, testGuardSeesOtherProcesses) }

func testGuardSeesOtherProcesses(t *testing.T, p place) {
	s, ada, r := world(t, p, nil)
	other := p.open(t, Config{})
	post := func() error {
		_, _, err := s.Post(t.Context(), guardOf(ada, r), message(ada, r, "x"), nil)
		return err
	}
	for range 3 {
		if err := post(); err != nil {
			t.Fatal(err)
		}
	}
	yes, no := true, false
	for _, disabled := range []*bool{&yes, &no} {
		if _, err := other.ChangeAccount(t.Context(), chat.Guard{}, ada.ID, chat.AccountChange{Disabled: disabled}); err != nil {
			t.Fatal(err)
		}
		if err := post(); !errors.Is(err, chat.ErrStale) {
			t.Errorf("post authorized before an account change: got %v, want chat.ErrStale", err)
		}
		var err error
		if ada, err = s.User(t.Context(), ada.ID); err != nil {
			t.Fatal(err)
		}
		if err := post(); err != nil {
			t.Errorf("post authorized after it: %v", err)
		}
	}
}
