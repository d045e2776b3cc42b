package accounts

import (
	"slices"
	"testing"
	"time"

	"tandem/e2e/harness"
)

func TestTabsCountOnceAndReloadsAreSilent(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, carol := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "carol")
	for _, over := range harness.Pushing { // presence alone does not complete a poll
		t.Run(string(over), func(t *testing.T) {
			t.Parallel() // it waits for three grace periods
			testTabs(t, over, ada.In(t), bob.In(t), carol.In(t))
		})
	}
}

func testTabs(t *testing.T, over harness.Transport, ada, bob, carol *harness.Client) {
	other := harness.OverWS
	if over == harness.OverWS {
		other = harness.OverSSE
	}
	place := "over-" + string(over)
	ada.Enter(place)
	watch := bob.Open(over, "room="+place)
	watch.Opening()

	tab := ada.Open(over, "room="+place)
	if open := tab.Opening(); !slices.Equal(harness.Sorted(tab.Lists[place].Users), []string{"ada", "bob"}) || tab.Lists[place].Count != 2 {
		t.Errorf("ada's list is %s after %s", tab.Lists[place].Raw, open.Raw)
	}
	if e := watch.Must("user_join", "user_leave"); e.Type != "user_join" || e.User != "ada" || e.Room != place {
		t.Errorf("bob got %s", e.Raw)
	}
	second := ada.Open(other, "room="+place) // a second tab, on the other transport
	second.Opening()
	tab.Close()
	second.Close()
	<-time.After(1200 * time.Millisecond)      // a page reload takes some time
	reloaded := ada.Open(other, "room="+place) // and finishes within the grace of 3 s
	reloaded.Opening()

	// Carol joins after that and leaves at once. When her grace has run out, ada's would have too.
	visit := carol.Open(over, "room="+place)
	visit.Opening()
	visit.Close()
	if told := harness.PresenceOf(watch.UntilLeft("carol")); !slices.Equal(told, []string{"carol in", "carol out"}) {
		t.Errorf("bob got %v, want [carol in carol out]", told)
	}
	if told := harness.PresenceOf(reloaded.UntilLeft("carol")); !slices.Equal(told, []string{"carol in", "carol out"}) {
		t.Errorf("ada got %v, want [carol in carol out]", told)
	}
	reloaded.Close()
	if told := harness.PresenceOf(watch.UntilLeft("ada")); !slices.Equal(told, []string{"ada out"}) {
		t.Errorf("when ada left, bob got %v, want [ada out]", told)
	}
	late := carol.Open(over, "room="+place)
	if late.Opening(); !slices.Equal(harness.Sorted(late.Lists[place].Users), []string{"bob", "carol"}) {
		t.Errorf("list after ada left = %s", late.Lists[place].Raw)
	}
	watch.Close()
	if told := harness.PresenceOf(late.UntilLeft("bob")); !slices.Equal(told, []string{"bob out"}) {
		t.Errorf("carol got %v, want [bob out]", told)
	}
}

// Presence is per room: changes in one room are not announced in another.
func TestPresenceIsSentOnlyToItsRoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	ada.Enter("dev")
	inLobby, inDev := ada.Open(harness.OverSSE, "room=lobby"), ada.Open(harness.OverWS, "room=dev")
	inLobby.Opening()
	inDev.Opening()
	visit := bob.Open(harness.OverSSE, "room=lobby&room=dev")
	visit.Opening()
	inbox := bob.Open(harness.OverSSE, "") // follows no room, so it is in none
	inbox.Opening()
	if e := inLobby.Must("user_join"); e.Room != "lobby" || e.User != "bob" {
		t.Errorf("the stream of lobby got %s", e.Raw)
	}
	if e := inDev.Must("user_join"); e.Room != "dev" || e.User != "bob" {
		t.Errorf("the stream of dev got %s", e.Raw)
	}
	stay := bob.Open(harness.OverWS, "room=dev")
	stay.Opening()
	visit.Close()
	if told := harness.PresenceOf(inLobby.UntilLeft("bob")); !slices.Equal(told, []string{"bob out"}) {
		t.Errorf("the stream of lobby got %v, want [bob out]", told)
	}
	bob.Post("dev", "still here")
	if told := harness.PresenceOf(inDev.UntilMessage("still here")); len(told) != 0 {
		t.Errorf("the stream of dev got %v, want none", told)
	}
}

// A user who shares no room with another learns nothing about where they are, not even with the name of a private room.
func TestPresenceInPrivateRoomsIsOnlyForMembers(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	ada.PrivateRoom("den")
	ada.SetMember("den", "bob", "member").Want(200)
	eve.Enter("lobby")
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		ada, bob, eve := ada.In(t), bob.In(t), eve.In(t)
		watch := ada.Open(over, "room=den")
		watch.Opening()
		inbox, all := eve.Open(over, ""), eve.Open(over, "room=*&room=lobby")
		inbox.Opening()
		all.Opening()
		there := bob.Open(over, "room=den")
		there.Opening()
		bob.Do("POST", harness.RoomPath("den")+"/typing", nil).Want(204)
		there.Close()
		watch.UntilLeft("bob")
		ada.Send("eve", "that was all")
		for _, s := range []*harness.Stream{inbox, all} {
			s.Must("private_message") // and nothing before it
			s.Close()
		}
		eve.Do("GET", harness.RoomPath("den")+"/users", nil).WantProblem(404, "room_not_found", "")
		watch.Close()
	})
}

// Presence is not stored: a resumed stream gets current lists, and no past joins and leaves.
func TestPresenceIsNotReplayed(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	watch := ada.Open(harness.OverSSE, "room=lobby")
	start := watch.Opening().Since
	visit := bob.Open(harness.OverWS, "room=lobby")
	visit.Opening()
	watch.Must("user_join")
	ada.Post("lobby", "meanwhile")
	resumed := ada.Open(harness.OverWS, "room=lobby&since="+start)
	if resumed.Opening(); resumed.Lists["lobby"].Count != 2 {
		t.Errorf("list = %s", resumed.Lists["lobby"].Raw)
	}
	resumed.Message("meanwhile")
}

// However many streams open and close at once, each gets its own user, receives events, and is counted once.
func TestManyStreamsOpenAtOnce(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	ada.Post("lobby", "before")
	watch := ada.Open(harness.OverSSE, "room=lobby")
	watch.Opening()
	streams := make([]*harness.Stream, 120)
	harness.InParallel(12, func(i int) {
		for n := i; n < len(streams); n += 12 {
			s, refusal, err := bob.Dial(harness.Pushing[n%len(harness.Pushing)], harness.Dialing{Query: "room=lobby&history=1"})
			if err != nil || refusal != nil {
				t.Errorf("opening stream %d: got %v, %v", n, refusal, err)
				return
			}
			if streams[n] = s; n%3 == 0 {
				s.Close()
			}
		}
	})
	ada.Post("lobby", "hello all")
	for n, s := range streams {
		if s == nil || n%3 == 0 {
			continue
		}
		s.Opening()
		if list := s.Lists["lobby"]; !slices.Equal(harness.Sorted(list.Users), []string{"ada", "bob"}) || list.Count != 2 {
			t.Errorf("list = %s", list.Raw)
		}
		s.Message("before")
		s.Message("hello all")
	}
	if told := harness.PresenceOf(watch.UntilMessage("hello all")); !slices.Equal(told, []string{"bob in"}) {
		t.Errorf("ada got %v, want [bob in]", told)
	}
}
