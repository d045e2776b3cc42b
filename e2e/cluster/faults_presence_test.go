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
	harness.Slow(t, "a node is dead 15 s after its last word")
	c := startCluster(t)
	ada, bob, cyd := c.node(0).Signup(t, "ada"), c.node(1).Signup(t, "bob"), c.node(1).Signup(t, "cyd")
	for _, user := range []*harness.Client{ada, bob, cyd} {
		user.Enter(faultRoom)
	}
	ada.Open(harness.OverSSE, "room="+faultRoom)
	harness.Eventually(t, "ada, of the other node, is in bob's list", func() bool {
		s := bob.Open(harness.OverWS, "room="+faultRoom)
		defer s.Close()
		s.Opening()
		return slices.Contains(s.Lists[faultRoom].Users, "ada")
	})
	watch := cyd.Open(harness.OverWS, "room="+faultRoom)
	watch.Opening()
	bob.Open(harness.OverSSE, "room="+faultRoom)
	// told collects what watch hears of joins and leaves, until an event fits or the time is over.
	told := func(within time.Duration, fits func(harness.Event) bool) (seen []string) {
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
	told(time.Second, never) // bob

	c.valkey.Kill()
	without := lasting(30*time.Second, 18*time.Second)
	if seen := told(without, never); len(seen) > 0 {
		t.Errorf("while Valkey was down, watchers got %v", seen)
	}
	if err := c.valkey.Start(); err != nil {
		t.Fatal(err)
	}
	// Valkey works again once a new join is announced.
	dan := c.node(0).Signup(t, "dan")
	dan.Open(harness.OverSSE, "room="+faultRoom)
	if seen := told(harness.Patience, func(e harness.Event) bool { return e.Type == "user_join" && e.User == "dan" }); !slices.Equal(seen, []string{"dan in"}) {
		t.Errorf("after Valkey came back, watchers got %v", seen)
	}
	if seen := told(lasting(20*time.Second, 2*time.Second), never); len(seen) > 0 {
		t.Errorf("then watchers got %v", seen)
	}
	t.Logf("Valkey was down for %s, and no user appeared to leave", without)

	c.node(0).Kill()
	began := time.Now()
	left := 0
	seen := told(30*time.Second, func(e harness.Event) bool {
		if e.Type == "user_leave" {
			left++
		}
		return left == 2
	})
	took := time.Since(began)
	if !slices.Equal(harness.Sorted(seen), []string{"ada out", "dan out"}) || took > 20*time.Second {
		t.Errorf("%s after their node was killed, watchers had got %v", took.Round(time.Millisecond), seen)
	}
	t.Logf("a killed node's people left after %s", took.Round(time.Millisecond))
	if seen := told(lasting(5*time.Second, 500*time.Millisecond), never); len(seen) > 0 {
		t.Errorf("then watchers got %v", seen)
	}
}
