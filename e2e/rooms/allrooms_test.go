package rooms

import (
	"fmt"
	"slices"
	"testing"

	"tandem/e2e/harness"
)

// A stream of all of a user's rooms includes a new one from its member_added on, live and after a reconnect.
func TestAllRoomsFollowMembershipChanges(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), p.Signup(t, "bob-"+string(over)) // a member of no room
		name := bob.User.Username
		old, live, away := "old-"+string(over), "live-"+string(over), "away-"+string(over)
		for _, room := range []string{old, live, away} {
			ada.Enter(room)
		}
		bob.Enter(old)
		watch := ada.Open(over, "room="+live)
		watch.Opening()
		s := bob.Open(over, "room=*&room="+old)
		if open := s.Opening(); !slices.Contains(open.Rooms, old) || slices.Contains(open.Rooms, live) {
			t.Errorf("rooms = %v", open.Rooms)
		}

		ada.Post(live, "before")
		bob.Enter(live)
		if e := s.Must("member_added"); e.Room != live || e.Target != name {
			t.Errorf("event on joining: got %s, want member_added of %s to %s", e.Raw, name, live)
		}
		if e := s.Must("user_list"); e.Room != live || !slices.Equal(e.Users, []string{"ada", name}) {
			t.Errorf("list on joining: got %s, want ada and %s in %s", e.Raw, name, live)
		}
		ada.Post(live, "hello bob")
		cursor := fmt.Sprintf("%d.%s", s.Message("hello bob").ID, s.Open.Log)
		watch.Message("before")
		watch.Must("member_added")
		if e := watch.Must("user_join"); e.User != name {
			t.Errorf("join on the watching stream: got %s, want %s", e.Raw, name)
		}
		s.Close()

		ada.Post(away, "not for bob")
		bob.Enter(away)
		ada.Post(away, "first for bob")
		ada.Post(old, "as ever")
		s = bob.Open(over, "room=*&since="+cursor)
		if open := s.Opening(); !open.Resumed || !slices.Contains(open.Rooms, away) || !slices.Contains(open.Rooms, live) || len(open.Lost) != 0 {
			t.Errorf("resumed stream: got %s, want %s and %s open and nothing lost", open.Raw, away, live)
		}
		if e := s.Must("member_added"); e.Room != away || e.Target != name {
			t.Errorf("first event of the resumed stream: got %s, want member_added of %s to %s", e.Raw, name, away)
		}
		s.Message("first for bob")
		s.Message("as ever")
	})
}

// Users online are listed once for all rooms, and only if asked for.
func TestSiteOnlineList(t *testing.T) {
	t.Parallel()
	for _, over := range harness.Pushing {
		t.Run(string(over), func(t *testing.T) {
			t.Parallel() // each leave takes the grace
			p := harness.StartProgram(t)
			ada, bob, carol := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "carol")
			ada.Enter("lobby")
			watch := ada.Open(over, "site=1")
			watch.Must("stream_open")
			if e := watch.Must("user_list"); e.Room != "" || !slices.Equal(e.Users, []string{"ada"}) || e.Count != 1 {
				t.Errorf("list of the site: got %s, want only ada", e.Raw)
			}
			inbox, inLobby := bob.Open(over, ""), bob.Open(over, "room=lobby")
			inbox.Must("stream_open")
			inLobby.Opening()
			both := carol.Open(over, "site=1&room=lobby")
			both.Must("stream_open")
			if e := both.Must("user_list"); e.Room != "" || e.Count != 3 {
				t.Errorf("list of the site: got %s, want 3 users", e.Raw)
			}
			if e := both.Must("user_list"); e.Room != "lobby" || e.Count != 2 {
				t.Errorf("list of the lobby: got %s, want 2 users", e.Raw)
			}
			inLobby.Close()
			both.Close()
			if told := harness.PresenceOf(watch.UntilLeft("carol")); !slices.Equal(told, []string{"bob in", "carol in", "carol out"}) {
				t.Errorf("ada got %v, want [bob in carol in carol out]", told)
			}
			inbox.Close()
			if told := harness.PresenceOf(watch.UntilLeft("bob")); !slices.Equal(told, []string{"bob out"}) {
				t.Errorf("then ada got %v, want [bob out]", told)
			}
		})
	}
	harness.StartProgram(t).Signup(t, "ada").Do("GET", "/v1/events?site=2", nil, "Accept: text/event-stream").WantProblem(400, "invalid_request", "site")
}
