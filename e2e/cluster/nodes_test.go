package cluster

import (
	"bytes"
	"slices"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
	"tandem/testservers"
)

// Events on one node reach the others, with Valkey and without. A session that ends on one node ends on the others.
func TestNodesShareEventsAndSessions(t *testing.T) {
	t.Parallel()
	for name, valkey := range map[string]*testservers.Valkey{"with Valkey": testservers.NewValkey(t), "without": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
				nodes := harness.StartNodes(t, 2, valkey)
				here, there := nodes[0], nodes[1]
				ada := here.Signup(t, "ada")
				bob := there.Signup(t, "bob")
				room := "lobby"
				ada.Enter(room)
				bob.Enter(room)
				near, far := ada.Open(over, "room="+room), bob.Open(over, "room="+room)
				near.Opening()
				far.Opening()
				posted := ada.Post(room, "from here")
				back := bob.Post(room, "from there")
				for _, s := range []*harness.Stream{near, far} {
					for _, want := range []harness.Event{posted, back} {
						if got := s.UntilMessage(want.Message); !bytes.Equal(got[len(got)-1].Raw, want.Raw) {
							t.Errorf("message on the stream: got %s, want %s", got[len(got)-1].Raw, want.Raw)
						}
					}
				}
				// A token from one node is valid on the other, and is revoked there too.
				elsewhere := ada.On(there.Server).Open(over, "room="+room)
				elsewhere.Opening()
				ada.Do("POST", "/v1/auth/logout", nil).Want(204)
				for _, s := range []*harness.Stream{near, elsewhere} {
					if end, _ := s.Ending(); end.Reason != "signed_out" {
						t.Errorf("end of the stream: got %+v, want reason signed_out", end)
					}
				}
				harness.Eventually(t, "the other node refuses the token", func() bool {
					a, err := ada.On(there.Server).Try("GET", "/v1/me", nil)
					return err == nil && a.Status == 401
				})
			})
		})
	}
}

// With Valkey, users present on one node are present on all, also in rooms that no stream follows there.
func TestPresenceAcrossNodes(t *testing.T) {
	t.Parallel()
	nodes := harness.StartNodes(t, 2, testservers.NewValkey(t))
	ada, bob := nodes[0].Signup(t, "ada"), nodes[1].Signup(t, "bob")
	ada.Enter("lobby")
	a := ada.Open(harness.OverSSE, "room=lobby")
	a.Opening()
	harness.Eventually(t, "calls to the other node list who is here", func() bool {
		names, count := bob.Present("lobby")
		return slices.Equal(names, []string{"ada"}) && count == 1 && bob.Online("lobby") == 1
	})
	var b *harness.Stream
	harness.Eventually(t, "the other node lists both users", func() bool {
		b = bob.Open(harness.OverWS, "room=lobby")
		b.Opening()
		if slices.Equal(b.Lists["lobby"].Users, []string{"ada", "bob"}) {
			return true
		}
		b.Close()
		return false
	})
	a.Until(func(e harness.Event) bool { return e.Type == "user_join" && e.User == "bob" && e.Room == "lobby" })
	b.Close()
	a.UntilLeft("bob")
	if names, count := bob.Present("lobby"); !slices.Equal(names, []string{"ada"}) || count != 1 || bob.Online("lobby") != 1 {
		t.Errorf("the node without streams has %v (%d)", names, count)
	}
	a.Close()
	harness.Eventually(t, "nobody is here", func() bool { return bob.Online("lobby") == 0 })
}

// Limits count across nodes: after a request to one node, the other has one less left, as long as Valkey answers in
// time. Nodes that count for themselves each have the full limit. Not parallel: a request waits at most 25 ms for its
// count.
func TestLimitsAcrossNodes(t *testing.T) {
	nodes := harness.StartNodes(t, 2, testservers.NewValkey(t), func(cfg *program.Settings) { cfg.LimitPosts = 50 })
	ada := nodes[0].Signup(t, "ada")
	ada.Enter("lobby")
	leftOn := func(node *harness.Program) int {
		left, _ := ada.On(node.Server).Do("POST", harness.RoomPath("lobby")+"/messages", harness.Raw("x")).Left("posts")
		return left
	}
	harness.Eventually(t, "both nodes count together", func() bool {
		for range 4 {
			leftOn(nodes[0])
		}
		here, there := leftOn(nodes[0]), leftOn(nodes[1])
		return here > 0 && there == here-1
	})
}
