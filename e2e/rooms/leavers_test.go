package rooms

import (
	"slices"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

func deleteAccount(c *harness.Client) {
	c.T.Helper()
	c.Do("DELETE", "/v1/me", harness.Fields{"current_password": c.Password}).Want(204)
}

// A room whose last owner deletes the account gets the moderator who has been a member longest as its owner, else the
// member. The room sees it as a change of role, before the departure.
func TestRoomOfADeletedAccountGetsAnotherOwner(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	gone, first, mod, second := p.Signup(t, "gone"), p.Signup(t, "first"), p.Signup(t, "mod"), p.Signup(t, "second")
	cyd := p.Signup(t, "cyd")
	owner := map[string]string{"private": "first", "moderated": "mod", "public": "first", "shared": "cyd", "empty": ""}
	for _, room := range []string{"private", "moderated", "shared", "empty"} {
		gone.PrivateRoom(room)
	}
	gone.Enter("public")
	for _, room := range []string{"private", "moderated", "public"} {
		for _, c := range []*harness.Client{first, mod, second} {
			gone.SetMember(room, c.User.Username, "member").Want(200)
		}
	}
	gone.SetMember("moderated", "mod", "moderator").Want(200)
	gone.SetMember("moderated", "second", "moderator").Want(200)
	gone.SetMember("shared", "cyd", "member").Want(200)
	gone.SetMember("shared", "cyd", "owner").Want(200)

	s, inbox := second.Open(harness.OverWS, "room=private"), first.Open(harness.OverSSE, "")
	s.Opening()
	inbox.Opening()
	deleteAccount(gone)
	promoted := s.Must("member_added")
	if promoted.User != "gone" || promoted.Target != "first" || promoted.Role != "owner" || promoted.Room != "private" {
		t.Errorf("the room got %s, want first made an owner by gone", promoted.Raw)
	}
	if left := s.Must("member_removed"); left.Target != "gone" || left.ID <= promoted.ID {
		t.Errorf("the room then got %s, want gone's departure", left.Raw)
	}
	inbox.Until(func(e harness.Event) bool {
		return e.Type == "member_added" && e.Room == "private" && e.Role == "owner"
	})

	for room, want := range owner {
		if want == "" {
			continue
		}
		member := map[bool]*harness.Client{true: cyd, false: second}[room == "shared"]
		var page struct {
			Items []struct{ Username, Role string }
		}
		member.Do("GET", harness.RoomPath(room)+"/members", nil).Want(200).Into(&page)
		var owners []string
		for _, m := range page.Items {
			if m.Role == "owner" {
				owners = append(owners, m.Username)
			}
		}
		if !slices.Equal(owners, []string{want}) {
			t.Errorf("owners of %s: got %q, want only %q", room, owners, want)
		}
	}
	// The new owner can administer the room at once, over the open stream too.
	first.Do("PATCH", harness.RoomPath("private"), harness.Fields{"title": "mine"}).Want(200)
	first.Do("DELETE", harness.RoomPath("private")+"/members/first", nil).WantProblem(409, "last_owner", "")
	second.Do("PATCH", harness.RoomPath("private"), harness.Fields{"title": "mine"}).WantProblem(403, "forbidden", "")
}

// Nobody can remove the bans, blocks and mutes of a deleted account, so they go with it and free their place.
func TestBansBlocksAndMutesGoWithTheAccount(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitBans, cfg.LimitBlocks = 1, 1 })
	ada, gone, bob := p.Signup(t, "ada"), p.Signup(t, "gone"), p.Signup(t, "bob")
	ada.Enter("lobby")
	lists := []string{"/v1/me/blocks", harness.RoomPath("lobby") + "/bans", harness.RoomPath("lobby") + "/mutes"}
	hold := func(name string) {
		t.Helper()
		ada.Do("PUT", "/v1/me/blocks/"+name, nil).Want(204)
		ada.Mute("lobby", name, 600).Want(200)
		ada.Do("PUT", harness.RoomPath("lobby")+"/bans/"+name, nil).Want(204)
		for _, list := range lists {
			if got := ada.Names(list); !slices.Equal(got, []string{name}) {
				t.Errorf("%s lists %q, want %q", list, got, name)
			}
		}
	}
	hold("gone")
	gone.Do("PUT", "/v1/me/blocks/ada", nil).Want(204)
	deleteAccount(gone)
	for _, list := range lists {
		if got := ada.Names(list); len(got) != 0 {
			t.Errorf("%s lists %q after the account was deleted, want none", list, got)
		}
	}
	hold(bob.User.Username)
}
