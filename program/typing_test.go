package program

import (
	"slices"
	"testing"
	"time"
)

// Typing is told to the room's other streams, on every transport, once in a while, and never to who types.
func TestTypingIsToldToTheOthersOnceInAWhile(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	onPushing(t, func(t *testing.T, over transport) {
		ada, bob, place := ada.in(t), bob.in(t), "typing-"+string(over)
		ada.enter(place)
		watch, own := bob.open(over, "room="+place), ada.open(over, "room="+place)
		watch.opening()
		own.opening()
		began := time.Now()
		for range 5 {
			ada.do("POST", roomPath(place)+"/typing", nil).want(204)
		}
		most := 1 + int(time.Since(began)/(3*time.Second))       // one, unless this took long
		bob.do("POST", roomPath(place)+"/typing", nil).want(204) // another's typing is told all the same
		told := own.until(func(e event) bool { return e.Type == "user_typing" })
		if e := told[len(told)-1]; e.User != "bob" || e.Room != place {
			t.Errorf("ada was told %s", e.raw)
		}
		ada.post(place, "done")
		var typists []string
		for _, e := range watch.untilMessage("done") {
			if e.Type == "user_typing" {
				typists = append(typists, e.User)
			}
		}
		if len(typists) == 0 || len(typists) > most || slices.ContainsFunc(typists, func(name string) bool { return name != "ada" }) {
			t.Errorf("bob was told that %v type", typists)
		}
	})
	ada.do("POST", roomPath("nowhere")+"/typing", nil).wantProblem(404, "room_not_found", "room")
}

func TestUsersOfARoom(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	users := func() (got struct {
		Users []string
		Count int
	}) {
		t.Helper()
		bob.do("GET", roomPath("lobby")+"/users", nil).want(200).into(&got)
		return got
	}
	if got := users(); got.Count != 0 || len(got.Users) != 0 {
		t.Errorf("nobody has it open, and yet %+v", got)
	}
	ada.open(overSSE, "room=lobby").opening()
	bob.open(overWS, "room=lobby").opening()
	if got := users(); got.Count != 2 || !slices.Equal(got.Users, []string{"ada", "bob"}) {
		t.Errorf("got %+v", got)
	}
	bob.do("GET", roomPath("nowhere")+"/users", nil).wantProblem(404, "room_not_found", "room")
}
