package rooms

import (
	"slices"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// Typing is announced to the room's other streams, on every transport, at most once in 3 s, and never to the typist.
func TestTypingIsSentToTheOthersAtIntervals(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		ada, bob, place := ada.In(t), bob.In(t), "typing-"+string(over)
		ada.Enter(place)
		watch, own := bob.Open(over, "room="+place), ada.Open(over, "room="+place)
		watch.Opening()
		own.Opening()
		began := time.Now()
		for range 5 {
			ada.Do("POST", harness.RoomPath(place)+"/typing", nil).Want(204)
		}
		most := 1 + int(time.Since(began)/(3*time.Second))               // one, unless this took long
		bob.Do("POST", harness.RoomPath(place)+"/typing", nil).Want(204) // another user's typing is announced as well
		told := own.Until(func(e harness.Event) bool { return e.Type == "user_typing" })
		if e := told[len(told)-1]; e.User != "bob" || e.Room != place {
			t.Errorf("ada got %s", e.Raw)
		}
		ada.Post(place, "done")
		var typists []string
		for _, e := range watch.UntilMessage("done") {
			if e.Type == "user_typing" {
				typists = append(typists, e.User)
			}
		}
		if len(typists) == 0 || len(typists) > most || slices.ContainsFunc(typists, func(name string) bool { return name != "ada" }) {
			t.Errorf("typing events for bob = %v", typists)
		}
	})
	ada.Do("POST", harness.RoomPath("nowhere")+"/typing", nil).WantProblem(404, "room_not_found", "room")
}

func TestUsersOfARoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	users := func() (got struct {
		Users []string
		Count int
	}) {
		t.Helper()
		bob.Do("GET", harness.RoomPath("lobby")+"/users", nil).Want(200).Into(&got)
		return got
	}
	if got := users(); got.Count != 0 || len(got.Users) != 0 {
		t.Errorf("users of a room that nobody has open = %+v, want none", got)
	}
	ada.Open(harness.OverSSE, "room=lobby").Opening()
	bob.Open(harness.OverWS, "room=lobby").Opening()
	if got := users(); got.Count != 2 || !slices.Equal(got.Users, []string{"ada", "bob"}) {
		t.Errorf("users of the lobby: got %+v, want ada and bob", got)
	}
	bob.Do("GET", harness.RoomPath("nowhere")+"/users", nil).WantProblem(404, "room_not_found", "room")
}
