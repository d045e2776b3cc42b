package cluster

import (
	"testing"

	"tandem/e2e/harness"
)

// A notification level is visible to its user only, wherever the room or conversation is shown.
func TestNotifyLevels(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	bob.Enter("lobby")
	ada.Send("bob", "hi")
	ada.Send("ada", "to myself")
	inRoom := func(c *harness.Client, want string) {
		t.Helper()
		var one harness.Room
		c.Do("GET", harness.RoomPath("lobby"), nil).Want(200).Into(&one)
		var page struct{ Items []harness.Room }
		c.Do("GET", "/v1/rooms", nil).Want(200).Into(&page)
		if got := c.Enter("lobby").Notify; one.Notify != want || page.Items[0].Notify != want || got != want {
			t.Errorf("notify of %s: got %q for the room, %q in the list, %q on entering, want %q", c.User.Username, one.Notify, page.Items[0].Notify, got, want)
		}
	}
	with := func(c *harness.Client, other, want string) {
		t.Helper()
		var page struct {
			Items []struct{ Username, Notify string }
		}
		c.Do("GET", "/v1/private", nil).Want(200).Into(&page)
		for _, c := range page.Items {
			if c.Username == other && c.Notify != want {
				t.Errorf("notify of the conversation with %s: got %q, want %q", other, c.Notify, want)
			}
		}
	}
	inRoom(ada, "mentions")
	with(ada, "bob", "all")
	for _, level := range []string{"all", "none", "none", "mentions", "all"} {
		ada.Notify(harness.RoomPath("lobby"), level).Want(204)
		inRoom(ada, level)
		inRoom(bob, "mentions")
		ada.Notify(harness.PrivatePath("bob"), level).Want(204)
		with(ada, "bob", level)
		with(ada, "ada", "all")
		with(bob, "ada", "all")
		bob.Notify(harness.PrivatePath("ada"), level).Want(204)
		with(bob, "ada", level)
		bob.Notify(harness.PrivatePath("ada"), "all").Want(204)
	}
	ada.Do("PATCH", harness.RoomPath("lobby"), map[string]any{"title": "another"}).Want(200)
	inRoom(ada, "all")
	ada.Do("DELETE", harness.RoomPath("lobby"), nil).Want(204)
	ada.Enter("lobby") // another room
	inRoom(ada, "mentions")

	for _, body := range []any{harness.Raw(""), map[string]any{}, map[string]any{"level": "some"}, map[string]any{"level": nil}, map[string]any{"level": 1},
		map[string]any{"level": "all", "more": 1}} {
		ada.Do("PUT", harness.RoomPath("lobby")+"/notify", body, "Content-Type: application/json").WantProblem(400, "", "")
		ada.Do("PUT", harness.PrivatePath("bob")+"/notify", body, "Content-Type: application/json").WantProblem(400, "", "")
	}
	ada.Notify(harness.RoomPath("nowhere"), "all").WantProblem(404, "room_not_found", "room")
	ada.Notify(harness.PrivatePath("nobody"), "all").WantProblem(404, "user_not_found", "username")
}
