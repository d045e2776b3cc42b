package accounts

import (
	"slices"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// An invisible user appears absent wherever presence shows, and sees everything as usual. Turning invisible looks like
// leaving, and turning visible like joining.
func TestInvisibleIsAbsentForOthers(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		watch := bob.Open(over, "room=lobby&site=1")
		watch.Must("stream_open")
		watch.Must("user_list")
		watch.Must("user_list")
		own := ada.Open(over, "room=lobby")
		own.Opening()
		for range 2 {
			watch.Must("user_join")
		}
		looks := func(c *harness.Client, visible bool) {
			t.Helper()
			names, count := c.Present("lobby")
			if slices.Contains(names, "ada") != visible || count != len(names) || count != c.Online("lobby") {
				t.Errorf("%s: online = %v, count = %d, room count = %d", c.User.Username, names, count, c.Online("lobby"))
			}
			if got := c.LookUp("ada"); got.Online != visible {
				t.Errorf("%s: profile of ada = %+v", c.User.Username, got)
			}
			online := slices.ContainsFunc(c.People("online=true"), func(p harness.Person) bool { return p.Username == "ada" })
			offline := slices.ContainsFunc(c.People("online=false"), func(p harness.Person) bool { return p.Username == "ada" })
			if online != visible || offline == visible {
				t.Errorf("%s finds ada online: %v, offline: %v", c.User.Username, online, offline)
			}
		}
		looks(bob, true)
		before := time.Now().Truncate(time.Millisecond)
		for range 2 { // the second call changes nothing
			if me := ada.ChangeMe(harness.Fields{"invisible": true}); !me.Invisible {
				t.Errorf("GET /v1/me = %+v", me)
			}
			looks(bob, false)
			looks(ada, true)
		}
		frozen := ""
		harness.Eventually(t, "the last_seen of the leave is written", func() bool { // this one, not the one from the previous transport
			frozen = bob.LookUp("ada").LastSeen
			at, err := time.Parse(time.RFC3339, frozen)
			return err == nil && !at.Before(before)
		})
		// A stream that she opens now is not a join, and its end not a leave. She is in her own list.
		second := ada.Open(over, "room=lobby&site=1")
		second.Must("stream_open")
		for range 2 {
			if list := second.Must("user_list"); !slices.Equal(harness.Sorted(list.Users), []string{"ada", "bob"}) || list.Count != 2 {
				t.Errorf("ada's own list = %s", list.Raw)
			}
		}
		late := bob.Open(over, "room=lobby")
		late.Opening()
		if list := late.Lists["lobby"]; !slices.Equal(list.Users, []string{"bob"}) || list.Count != 1 {
			t.Errorf("bob's list = %s", list.Raw)
		}
		ada.Do("POST", harness.RoomPath("lobby")+"/typing", nil).Want(204)
		second.Close()
		late.Close()
		looks(bob, false)
		ada.Post("lobby", "still here, "+string(over))
		told := watch.UntilMessage("still here, " + string(over))
		if got := harness.PresenceOf(told); !slices.Equal(got, []string{"ada out", "ada out"}) { // from the room, and from the site
			t.Errorf("bob got %v, want [ada out ada out]", got)
		}
		for _, e := range told {
			if e.Type == "user_typing" {
				t.Errorf("bob got %s", e.Raw)
			}
		}
		if got := harness.PresenceOf(own.UntilMessage("still here, " + string(over))); len(got) != 0 {
			t.Errorf("ada got %v about herself", got)
		}
		if got := bob.LookUp("ada").LastSeen; got != frozen {
			t.Errorf("last_seen changed from %s to %s", frozen, got)
		}
		if me := ada.ChangeMe(harness.Fields{"invisible": false}); me.Invisible {
			t.Errorf("GET /v1/me = %+v", me)
		}
		looks(bob, true)
		ada.Post("lobby", "back, "+string(over))
		if got := harness.PresenceOf(watch.UntilMessage("back, " + string(over))); !slices.Equal(got, []string{"ada in", "ada in"}) {
			t.Errorf("bob got %v, want [ada in ada in]", got)
		}
		// Every transport must leave the room empty for the next.
		own.Close()
		watch.Until(func(e harness.Event) bool { return e.Type == "user_leave" && e.User == "ada" && e.Room == "" })
	})
}

// The setting survives a restart.
func TestInvisibleOutlastsARestart(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	ada.ChangeMe(harness.Fields{"invisible": true})
	p.Stop(t)
	p = p.Again(t)
	ada, bob = ada.On(p.Server), bob.On(p.Server)
	ada.Open(harness.OverSSE, "room=lobby").Opening()
	s := bob.Open(harness.OverWS, "room=lobby")
	if s.Opening(); !slices.Equal(s.Lists["lobby"].Users, []string{"bob"}) {
		t.Errorf("list = %s", s.Lists["lobby"].Raw)
	}
	ada.ChangeMe(harness.Fields{"invisible": false})
	if e := s.Must("user_join"); e.User != "ada" {
		t.Errorf("bob got %s", e.Raw)
	}
}

// Hiding on one node hides the user on all nodes, for streams that are open there and for those that open later.
func TestInvisibleAcrossNodes(t *testing.T) {
	t.Parallel()
	nodes := harness.StartNodes(t, 3, testservers.NewValkey(t))
	ada, bob := nodes[0].Signup(t, "ada"), nodes[2].Signup(t, "bob")
	ada.Enter("lobby")
	watch := bob.Open(harness.OverSSE, "room=lobby")
	watch.Opening()
	one := ada.Open(harness.OverWS, "room=lobby")
	one.Opening()
	two := ada.On(nodes[1].Server).Open(harness.OverSSE, "room=lobby")
	two.Opening()
	watch.Until(func(e harness.Event) bool { return e.Type == "user_join" && e.User == "ada" })
	ada.ChangeMe(harness.Fields{"invisible": true})
	watch.UntilLeft("ada")
	for range 20 { // on either node, immediately after the answer
		for _, node := range nodes {
			s := ada.On(node.Server).Open(harness.OverSSE, "room=lobby")
			s.Opening()
			if list := s.Lists["lobby"]; !slices.Contains(list.Users, "ada") {
				t.Errorf("ada's own list = %s", list.Raw)
			}
			s.Close()
		}
		ada.ChangeMe(harness.Fields{"invisible": false})
		watch.Until(func(e harness.Event) bool { return e.Type == "user_join" && e.User == "ada" })
		// The other node of ada announces her, too: before she hides, or bob sees her come and leave twice.
		ada.Post("lobby", "visible")
		two.UntilMessage("visible")
		ada.ChangeMe(harness.Fields{"invisible": true})
		watch.UntilLeft("ada")
	}
	other := ada.On(nodes[1].Server).Open(harness.OverWS, "room=lobby")
	other.Opening()
	ada.Post("lobby", "hidden")
	if got := harness.PresenceOf(watch.UntilMessage("hidden")); len(got) != 0 {
		t.Errorf("bob got %v, want none", got)
	}
	for _, node := range nodes {
		if names, _ := bob.On(node.Server).Present("lobby"); !slices.Equal(names, []string{"bob"}) {
			t.Errorf("list = %v, want [bob]", names)
		}
	}
}
