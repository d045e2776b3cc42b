package accounts

import (
	"strings"
	"testing"

	"tandem/e2e/harness"
)

// An avatar is a picture that its user has uploaded. Everybody can see it, and a new one replaces the old file.
func TestAvatar(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	s := bob.Open(harness.OverSSE, "room=lobby")
	s.Opening()
	first, second := ada.Upload("/v1/me", "a.png", harness.Picture(t, 4, 4)), ada.Upload("/v1/me", "b.png", harness.Picture(t, 5, 5))
	shows := func(want string) {
		t.Helper()
		if a, b, c := ada.Me().Avatar, bob.LookUp("ada").Avatar, bob.People("names=ada")[0].Avatar; a != want || b != want || c != want {
			t.Errorf("the avatar is %q, %q and %q, want %q", a, b, c, want)
		}
	}
	file := func(id string) string { return "/v1/files/" + id }
	bob.Do("GET", file(first.ID), nil).WantProblem(404, "file_not_found", "")
	ada.ChangeMe(harness.Fields{"avatar": first.ID})
	s.Must("user_updated")
	shows(first.ID)
	bob.Do("GET", file(first.ID), nil).Want(200)
	ada.ChangeMe(harness.Fields{"avatar": first.ID}) // no change
	ada.ChangeMe(harness.Fields{"display_name": "Ada"})
	s.Must("user_updated")
	shows(first.ID)
	ada.ChangeMe(harness.Fields{"avatar": second.ID})
	s.Must("user_updated")
	shows(second.ID)
	bob.Do("GET", file(first.ID), nil).WantProblem(404, "file_not_found", "")
	bob.Do("GET", file(second.ID), nil).Want(200)

	elsewhere, bobs := ada.Upload(harness.RoomPath("lobby"), "c.png", harness.Picture(t, 6, 6)), bob.Upload("/v1/me", "d.png", harness.Picture(t, 7, 7))
	for _, id := range []string{elsewhere.ID, bobs.ID, first.ID, strings.Repeat("a", 22), "short", "../../../../etc/passwd", strings.Repeat("a", 23)} {
		ada.Do("PATCH", "/v1/me", harness.Fields{"avatar": id, "display_name": "not so"}).WantProblem(400, "", "avatar")
	}
	for _, no := range []string{`7`, `{}`, `true`} {
		ada.Do("PATCH", "/v1/me", harness.Raw(`{"avatar":`+no+`}`), "Content-Type: application/json").WantProblem(400, "", "avatar")
	}
	shows(second.ID)
	if name := ada.Me().DisplayName; name != "Ada" {
		t.Errorf("a refused change made the name %q, want \"Ada\"", name)
	}
	ada.ChangeMe(harness.Raw(`{"avatar":null}`))
	s.Must("user_updated")
	shows("")
	bob.Do("GET", file(second.ID), nil).WantProblem(404, "file_not_found", "")
	third := ada.Upload("/v1/me", "e.png", harness.Picture(t, 8, 8))
	ada.ChangeMe(harness.Fields{"avatar": third.ID})
	ada.Do("DELETE", "/v1/me", harness.Fields{"current_password": ada.Password}).Want(204)
	bob.Do("GET", file(third.ID), nil).WantProblem(404, "file_not_found", "")
}
