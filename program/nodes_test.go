package program

import (
	"bytes"
	"slices"
	"testing"

	"tandem/testservers"
)

// startNodes runs programs that share a PostgreSQL and, if valkey is not nil, a Valkey.
func startNodes(t *testing.T, n int, valkey *testservers.Valkey, change ...func(*Settings)) []*testProgram {
	t.Helper()
	database := testservers.Database(t)
	nodes := make([]*testProgram, n)
	for i := range nodes {
		nodes[i] = startProgram(t, append([]func(*Settings){func(cfg *Settings) {
			cfg.DatabaseURL = database
			if valkey != nil {
				cfg.ValkeyURL = valkey.URL()
			}
		}}, change...)...)
	}
	return nodes
}

// What happens on one node is seen on the others, with Valkey and without; and what ends there ends here.
func TestNodesAreOne(t *testing.T) {
	t.Parallel()
	for name, valkey := range map[string]*testservers.Valkey{"with Valkey": testservers.NewValkey(t), "without": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onPushing(t, func(t *testing.T, over transport) {
				nodes := startNodes(t, 2, valkey)
				here, there := nodes[0], nodes[1]
				ada := here.signup(t, "ada")
				bob := there.signup(t, "bob")
				room := "lobby"
				ada.enter(room)
				bob.enter(room)
				near, far := ada.open(over, "room="+room), bob.open(over, "room="+room)
				near.opening()
				far.opening()
				posted := ada.post(room, "from here")
				back := bob.post(room, "from there")
				for _, s := range []*stream{near, far} {
					for _, want := range []event{posted, back} {
						if got := s.untilMessage(want.Message); !bytes.Equal(got[len(got)-1].raw, want.raw) {
							t.Errorf("got  %s\nwant %s", got[len(got)-1].raw, want.raw)
						}
					}
				}
				// A token of one node counts on the other, and ends there too.
				elsewhere := ada.on(there.testServer).open(over, "room="+room)
				elsewhere.opening()
				ada.do("POST", "/v1/auth/logout", nil).want(204)
				for _, s := range []*stream{near, elsewhere} {
					if end, _ := s.ending(); end.Reason != "signed_out" {
						t.Errorf("the stream ended with %+v", end)
					}
				}
				eventually(t, "the other node refuses the token", func() bool {
					a, err := ada.on(there.testServer).try("GET", "/v1/me", nil)
					return err == nil && a.status == 401
				})
			})
		})
	}
}

// With Valkey who is present on one node is present on all.
func TestPresenceAcrossNodes(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 2, testservers.NewValkey(t))
	ada, bob := nodes[0].signup(t, "ada"), nodes[1].signup(t, "bob")
	ada.enter("lobby")
	a := ada.open(overSSE, "room=lobby")
	a.opening()
	var b *stream
	eventually(t, "the list on the other node has who is here", func() bool {
		b = bob.open(overWS, "room=lobby")
		b.opening()
		if slices.Equal(b.lists["lobby"].Users, []string{"ada", "bob"}) {
			return true
		}
		b.close()
		return false
	})
	a.until(func(e event) bool { return e.Type == "user_join" && e.User == "bob" && e.Room == "lobby" })
	b.close()
	a.untilLeft("bob")
}

// A limit counts on all nodes together: what is left on one is one less than what is left on the other, once Valkey
// is reached and answers in time. Nodes that count for themselves have as much left as each has not used. It does not
// run beside others: a request waits 25 ms for its count at most.
func TestLimitsAcrossNodes(t *testing.T) {
	nodes := startNodes(t, 2, testservers.NewValkey(t), func(cfg *Settings) { cfg.LimitPosts = 50 })
	ada := nodes[0].signup(t, "ada")
	ada.enter("lobby")
	leftOn := func(node *testProgram) int {
		left, _ := ada.on(node.testServer).do("POST", roomPath("lobby")+"/messages", raw("x")).left("posts")
		return left
	}
	eventually(t, "a count of both nodes", func() bool {
		for range 4 {
			leftOn(nodes[0])
		}
		here, there := leftOn(nodes[0]), leftOn(nodes[1])
		return here > 0 && there == here-1
	})
}
