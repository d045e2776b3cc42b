package program

import (
	"slices"
	"testing"
	"time"
)

// presenceOf are the joins and leaves among events, as "ada in" and "ada out".
func presenceOf(events []event) []string {
	var told []string
	for _, e := range events {
		switch e.Type {
		case "user_join":
			told = append(told, e.User+" in")
		case "user_leave":
			told = append(told, e.User+" out")
		}
	}
	return told
}

func (s *stream) untilLeft(user string) []event {
	s.t.Helper()
	return s.until(func(e event) bool { return e.Type == "user_leave" && e.User == user })
}

func TestTabsCountOnceAndAReloadMakesNoNoise(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob, carol := p.signup(t, "ada"), p.signup(t, "bob"), p.signup(t, "carol")
	for _, over := range pushing { // a poll is not answered for presence alone
		t.Run(string(over), func(t *testing.T) {
			t.Parallel() // it waits for three graces, one after the other
			testTabs(t, over, ada.in(t), bob.in(t), carol.in(t))
		})
	}
}

func testTabs(t *testing.T, over transport, ada, bob, carol *client) {
	other := overWS
	if over == overWS {
		other = overSSE
	}
	place := "over-" + string(over)
	ada.enter(place)
	watch := bob.open(over, "room="+place)
	watch.opening()

	tab := ada.open(over, "room="+place)
	if open := tab.opening(); !slices.Equal(sorted(tab.lists[place].Users), []string{"ada", "bob"}) || tab.lists[place].Count != 2 {
		t.Errorf("ada's list is %s after %s", tab.lists[place].raw, open.raw)
	}
	if e := watch.must("user_join", "user_leave"); e.Type != "user_join" || e.User != "ada" || e.Room != place {
		t.Errorf("bob saw %s", e.raw)
	}
	second := ada.open(other, "room="+place) // a second tab, on the other transport
	second.opening()
	tab.close()
	second.close()
	<-time.After(1200 * time.Millisecond)      // a reload takes a while
	reloaded := ada.open(other, "room="+place) // and is over within the grace of 3 s
	reloaded.opening()

	// Carol comes after that and goes at once. By the time her grace has run out, ada's would have too.
	visit := carol.open(over, "room="+place)
	visit.opening()
	visit.close()
	if told := presenceOf(watch.untilLeft("carol")); !slices.Equal(told, []string{"carol in", "carol out"}) {
		t.Errorf("bob was told %v", told)
	}
	if told := presenceOf(reloaded.untilLeft("carol")); !slices.Equal(told, []string{"carol in", "carol out"}) {
		t.Errorf("ada was told %v", told)
	}
	reloaded.close()
	if told := presenceOf(watch.untilLeft("ada")); !slices.Equal(told, []string{"ada out"}) {
		t.Errorf("when ada went, bob was told %v", told)
	}
	late := carol.open(over, "room="+place)
	if late.opening(); !slices.Equal(sorted(late.lists[place].Users), []string{"bob", "carol"}) {
		t.Errorf("after ada left, the list is %s", late.lists[place].raw)
	}
	watch.close()
	if told := presenceOf(late.untilLeft("bob")); !slices.Equal(told, []string{"bob out"}) {
		t.Errorf("carol was told %v", told)
	}
}

// Presence is a room's own: what happens in one is not told in another.
func TestPresenceIsToldInItsRoomAlone(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	ada.enter("dev")
	inLobby, inDev := ada.open(overSSE, "room=lobby"), ada.open(overWS, "room=dev")
	inLobby.opening()
	inDev.opening()
	visit := bob.open(overSSE, "room=lobby&room=dev")
	visit.opening()
	inbox := bob.open(overSSE, "") // follows no room, and is in none
	inbox.opening()
	if e := inLobby.must("user_join"); e.Room != "lobby" || e.User != "bob" {
		t.Errorf("in lobby was told %s", e.raw)
	}
	if e := inDev.must("user_join"); e.Room != "dev" || e.User != "bob" {
		t.Errorf("in dev was told %s", e.raw)
	}
	stay := bob.open(overWS, "room=dev")
	stay.opening()
	visit.close()
	if told := presenceOf(inLobby.untilLeft("bob")); !slices.Equal(told, []string{"bob out"}) {
		t.Errorf("in lobby was told %v", told)
	}
	bob.post("dev", "still here")
	if told := presenceOf(inDev.untilMessage("still here")); len(told) != 0 {
		t.Errorf("in dev was told %v", told)
	}
}

// Who shares no room with a user learns nothing of where they are, not even who is present in a private room by name.
func TestPresenceInPrivateRoomsIsTheirMembersAlone(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob, eve := p.signup(t, "ada"), p.signup(t, "bob"), p.signup(t, "eve")
	ada.privateRoom("den")
	ada.setMember("den", "bob", "member").want(200)
	eve.enter("lobby")
	onPushing(t, func(t *testing.T, over transport) {
		ada, bob, eve := ada.in(t), bob.in(t), eve.in(t)
		watch := ada.open(over, "room=den")
		watch.opening()
		inbox, all := eve.open(over, ""), eve.open(over, "room=*&room=lobby")
		inbox.opening()
		all.opening()
		there := bob.open(over, "room=den")
		there.opening()
		bob.do("POST", roomPath("den")+"/typing", nil).want(204)
		there.close()
		watch.untilLeft("bob")
		ada.send("eve", "that was all")
		for _, s := range []*stream{inbox, all} {
			s.must("private_message") // and nothing before it
			s.close()
		}
		eve.do("GET", roomPath("den")+"/users", nil).wantProblem(404, "room_not_found", "")
		watch.close()
	})
}

// Presence is not stored: a resumed stream gets fresh lists, and no joins and leaves of the past.
func TestPresenceIsNotReplayed(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	watch := ada.open(overSSE, "room=lobby")
	start := watch.opening().Since
	visit := bob.open(overWS, "room=lobby")
	visit.opening()
	watch.must("user_join")
	ada.post("lobby", "meanwhile")
	resumed := ada.open(overWS, "room=lobby&since="+start)
	if resumed.opening(); resumed.lists["lobby"].Count != 2 {
		t.Errorf("the list is %s", resumed.lists["lobby"].raw)
	}
	resumed.message("meanwhile")
}

// However many streams open and close at once, each learns of itself, gets what comes, and counts once.
func TestManyStreamsOpenAtOnce(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	ada.post("lobby", "before")
	watch := ada.open(overSSE, "room=lobby")
	watch.opening()
	streams := make([]*stream, 120)
	inParallel(12, func(i int) {
		for n := i; n < len(streams); n += 12 {
			s, refusal, err := bob.dial(pushing[n%len(pushing)], how{query: "room=lobby&history=1"})
			if err != nil || refusal != nil {
				t.Errorf("opening stream %d: %v %v", n, refusal, err)
				return
			}
			if streams[n] = s; n%3 == 0 {
				s.close()
			}
		}
	})
	ada.post("lobby", "hello all")
	for n, s := range streams {
		if s == nil || n%3 == 0 {
			continue
		}
		s.opening()
		if list := s.lists["lobby"]; !slices.Equal(sorted(list.Users), []string{"ada", "bob"}) || list.Count != 2 {
			t.Errorf("the list is %s", list.raw)
		}
		s.message("before")
		s.message("hello all")
	}
	if told := presenceOf(watch.untilMessage("hello all")); !slices.Equal(told, []string{"bob in"}) {
		t.Errorf("ada was told %v", told)
	}
}
