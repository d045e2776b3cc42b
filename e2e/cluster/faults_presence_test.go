package cluster

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// TestPresenceThroughFaults: while Valkey is down nobody is reported as gone. When a node is killed, its users leave
// everywhere within 20 s, and no other users do.
func TestPresenceThroughFaults(t *testing.T) {
	harness.Slow(t, "a node counts as dead 15 s after its last message")
	c := startCluster(t)
	ada, bob, cyd := c.node(0).Signup(t, "ada"), c.node(1).Signup(t, "bob"), c.node(1).Signup(t, "cyd")
	for _, user := range []*harness.Client{ada, bob, cyd} {
		user.Enter(faultRoom)
	}
	ada.Open(harness.OverSSE, "room="+faultRoom)
	harness.Eventually(t, "ada, on the other node, is in bob's list", func() bool {
		s := bob.Open(harness.OverWS, "room="+faultRoom)
		defer s.Close()
		s.Opening()
		return slices.Contains(s.Lists[faultRoom].Users, "ada")
	})
	watch := cyd.Open(harness.OverWS, "room="+faultRoom)
	watch.Opening()
	bob.Open(harness.OverSSE, "room="+faultRoom)
	// presence collects the joins and leaves that watch receives, until an event fits or the time is over.
	presence := func(within time.Duration, fits func(harness.Event) bool) (seen []string) {
		for deadline := time.Now().Add(within); ; {
			e, err := watch.Next(time.Until(deadline))
			if errors.Is(err, harness.ErrPatience) {
				return seen
			}
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, harness.PresenceOf([]harness.Event{e})...)
			if fits(e) {
				return seen
			}
		}
	}
	never := func(harness.Event) bool { return false }
	presence(time.Second, never) // bob

	c.valkey.Kill()
	without := lasting(30*time.Second, 18*time.Second)
	if seen := presence(without, never); len(seen) > 0 {
		t.Errorf("presence events while Valkey was down: got %v, want none", seen)
	}
	if err := c.valkey.Start(); err != nil {
		t.Fatal(err)
	}
	// Valkey works again once a new join is announced.
	dan := c.node(0).Signup(t, "dan")
	dan.Open(harness.OverSSE, "room="+faultRoom)
	if seen := presence(harness.Patience, func(e harness.Event) bool { return e.Type == "user_join" && e.User == "dan" }); !slices.Equal(seen, []string{"dan in"}) {
		t.Errorf("presence events after Valkey came back: got %v, want [dan in]", seen)
	}
	if seen := presence(lasting(20*time.Second, 2*time.Second), never); len(seen) > 0 {
		t.Errorf("presence events after dan's join: got %v, want none", seen)
	}
	t.Logf("Valkey was down for %s, and no user appeared to leave", without)

	c.node(0).Kill()
	began := time.Now()
	left := 0
	seen := presence(harness.Patience, func(e harness.Event) bool {
		if e.Type == "user_leave" {
			left++
		}
		return left == 2
	})
	took := time.Since(began)
	if !slices.Equal(harness.Sorted(seen), []string{"ada out", "dan out"}) || harness.Long && took > 20*time.Second {
		t.Errorf("presence events after the kill: got %v within %s, want [ada out dan out] within 20s", seen, took.Round(time.Millisecond))
	}
	t.Logf("the killed node's users left after %s", took.Round(time.Millisecond))
	if seen := presence(lasting(5*time.Second, 500*time.Millisecond), never); len(seen) > 0 {
		t.Errorf("presence events after the leaves: got %v, want none", seen)
	}
}
