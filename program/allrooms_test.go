package program

import (
	"fmt"
	"slices"
	"testing"
)

// A stream of all one's rooms follows a new one from its member_added on, live and after having been away.
func TestAllRoomsAsMembershipsChange(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	onPushing(t, func(t *testing.T, over transport) {
		ada, bob := ada.in(t), p.signup(t, "bob-"+string(over)) // a member of nothing
		name := bob.User.Username
		old, live, away := "old-"+string(over), "live-"+string(over), "away-"+string(over)
		for _, room := range []string{old, live, away} {
			ada.enter(room)
		}
		bob.enter(old)
		watch := ada.open(over, "room="+live)
		watch.opening()
		s := bob.open(over, "room=*&room="+old)
		if open := s.opening(); !slices.Contains(open.Rooms, old) || slices.Contains(open.Rooms, live) {
			t.Errorf("the rooms are %v", open.Rooms)
		}

		ada.post(live, "before")
		bob.enter(live)
		if e := s.must("member_added"); e.Room != live || e.Target != name {
			t.Errorf("got %s", e.raw)
		}
		if e := s.must("user_list"); e.Room != live || !slices.Equal(e.Users, []string{"ada", name}) {
			t.Errorf("got %s", e.raw)
		}
		ada.post(live, "hello bob")
		cursor := fmt.Sprintf("%d.%s", s.message("hello bob").ID, s.open.Log)
		watch.message("before")
		watch.must("member_added")
		if e := watch.must("user_join"); e.User != name {
			t.Errorf("got %s", e.raw)
		}
		s.close()

		ada.post(away, "not for bob")
		bob.enter(away)
		ada.post(away, "first for bob")
		ada.post(old, "as ever")
		s = bob.open(over, "room=*&since="+cursor)
		if open := s.opening(); !open.Resumed || !slices.Contains(open.Rooms, away) || !slices.Contains(open.Rooms, live) || len(open.Lost) != 0 {
			t.Errorf("got %s", open.raw)
		}
		if e := s.must("member_added"); e.Room != away || e.Target != name {
			t.Errorf("got %s", e.raw)
		}
		s.message("first for bob")
		s.message("as ever")
	})
}

// Who is online is told once for all rooms, to whoever asks.
func TestWhoIsOnlineOnTheSite(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob, carol := p.signup(t, "ada"), p.signup(t, "bob"), p.signup(t, "carol")
	for _, over := range pushing {
		t.Run(string(over), func(t *testing.T) {
			ada, bob, carol := ada.in(t), bob.in(t), carol.in(t)
			ada.enter("lobby")
			watch := ada.open(over, "site=1")
			watch.must("stream_open")
			if e := watch.must("user_list"); e.Room != "" || !slices.Equal(e.Users, []string{"ada"}) || e.Count != 1 {
				t.Errorf("got %s", e.raw)
			}
			inbox, inLobby := bob.open(over, ""), bob.open(over, "room=lobby")
			inbox.must("stream_open")
			inLobby.opening()
			both := carol.open(over, "site=1&room=lobby")
			both.must("stream_open")
			if e := both.must("user_list"); e.Room != "" || e.Count != 3 {
				t.Errorf("got %s", e.raw)
			}
			if e := both.must("user_list"); e.Room != "lobby" || e.Count != 2 {
				t.Errorf("got %s", e.raw)
			}
			inLobby.close()
			both.close()
			if told := presenceOf(watch.untilLeft("carol")); !slices.Equal(told, []string{"bob in", "carol in", "carol out"}) {
				t.Errorf("ada was told %v", told)
			}
			inbox.close()
			if told := presenceOf(watch.untilLeft("bob")); !slices.Equal(told, []string{"bob out"}) {
				t.Errorf("then ada was told %v", told)
			}
			watch.close()
			// The next round begins with nobody online.
			eventually(t, "everybody is offline", func() bool { return p.running.hub.UsersOnline() == 0 })
		})
	}
	ada.do("GET", "/v1/events?site=2", nil, "Accept: text/event-stream").wantProblem(400, "invalid_request", "site")
}
