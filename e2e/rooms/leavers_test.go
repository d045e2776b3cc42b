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
