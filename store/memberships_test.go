package store

import (
	"testing"

	"tandem/chat"
)

// A change of role does not start a new membership; returning does.
func TestMembershipsRecordWhenTheyBegan(t *testing.T) { onBoth(t, testMembershipsRecordWhenTheyBegan) }

func testMembershipsRecordWhenTheyBegan(t *testing.T, p place) {
	s, u, a := world(t, p, nil)
	b, c := makeRoom(t, s, u, "b"), makeRoom(t, s, u, "c")
	event := func(r chat.Room, typ string) chat.Event {
		return chat.Event{Topic: chat.RoomTopic(r.ID), Also: chat.InboxTopic(u.ID), Type: typ, Author: u.ID, Body: `"x":1}`}
	}
	role := func(r chat.Room, from, to chat.Role) {
		t.Helper()
		if err := s.SetMember(t.Context(), chat.Guard{}, r.ID, u.ID, from, to, event(r, chat.TypeMemberAdded)); err != nil {
			t.Fatal(err)
		}
	}
	role(a, chat.RoleOwner, chat.RoleMember)     // 1
	role(b, chat.RoleOwner, chat.RoleMember)     // 2
	role(a, chat.RoleMember, chat.RoleModerator) // 3
	if err := s.log.do(t.Context(), func(tx *tx) error {
		_, err := tx.append(event(b, chat.TypeMemberRemoved)) // 4
		return err
	}); err != nil {
		t.Fatal(err)
	}
	role(b, chat.RoleMember, chat.RoleModerator) // 5
	role(b, chat.RoleModerator, chat.RoleMember) // 6

	got, err := s.Memberships(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	since := map[string]int64{}
	for _, m := range got {
		since[m.Name] = m.Since
	}
	// makeRoom makes its caller an owner without an event.
	if len(got) != 3 || since[a.Name] != 1 || since["b"] != 5 || since[c.Name] != 0 || got[0].ID != b.ID {
		t.Errorf("Memberships: got %+v, want 3, starting at events 1, 5 and 0", got)
	}
}
