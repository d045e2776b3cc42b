package program

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// TestPresenceThroughFaults: while Valkey is gone nobody is declared gone; a killed node's people leave everywhere
// within 20 s, and nobody else.
func TestPresenceThroughFaults(t *testing.T) {
	slow(t, "a node is dead 15 s after its last word")
	c := startCluster(t)
	ada, bob, cyd := c.node(0).signup(t, "ada"), c.node(1).signup(t, "bob"), c.node(1).signup(t, "cyd")
	for _, user := range []*client{ada, bob, cyd} {
		user.enter(faultRoom)
	}
	ada.open(overSSE, "room="+faultRoom)
	eventually(t, "ada, of the other node, is in bob's list", func() bool {
		s := bob.open(overWS, "room="+faultRoom)
		defer s.close()
		s.opening()
		return slices.Contains(s.lists[faultRoom].Users, "ada")
	})
	watch := cyd.open(overWS, "room="+faultRoom)
	watch.opening()
	bob.open(overSSE, "room="+faultRoom)
	// told is what watch is told of who comes and goes, until something fits or the time is over.
	told := func(within time.Duration, fits func(event) bool) (seen []string) {
		for deadline := time.Now().Add(within); ; {
			e, err := watch.next(time.Until(deadline))
			if errors.Is(err, errPatience) {
				return seen
			}
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, presenceOf([]event{e})...)
			if fits(e) {
				return seen
			}
		}
	}
	never := func(event) bool { return false }
	told(time.Second, never) // bob

	c.valkey.Kill()
	without := lasting(30*time.Second, 18*time.Second)
	if seen := told(without, never); len(seen) > 0 {
		t.Errorf("while Valkey was gone, watchers were told %v", seen)
	}
	if err := c.valkey.Start(); err != nil {
		t.Fatal(err)
	}
	// Valkey works again when somebody new is told of.
	dan := c.node(0).signup(t, "dan")
	dan.open(overSSE, "room="+faultRoom)
	if seen := told(patience, func(e event) bool { return e.Type == "user_join" && e.User == "dan" }); !slices.Equal(seen, []string{"dan in"}) {
		t.Errorf("after Valkey came back, watchers were told %v", seen)
	}
	if seen := told(lasting(20*time.Second, 2*time.Second), never); len(seen) > 0 {
		t.Errorf("then watchers were told %v", seen)
	}
	t.Logf("Valkey was gone for %s, and nobody left", without)

	c.node(0).kill()
	began := time.Now()
	left := 0
	seen := told(30*time.Second, func(e event) bool {
		if e.Type == "user_leave" {
			left++
		}
		return left == 2
	})
	took := time.Since(began)
	if !slices.Equal(sorted(seen), []string{"ada out", "dan out"}) || took > 20*time.Second {
		t.Errorf("%s after their node was killed, watchers had been told %v", took.Round(time.Millisecond), seen)
	}
	t.Logf("a killed node's people left after %s", took.Round(time.Millisecond))
	if seen := told(lasting(5*time.Second, 500*time.Millisecond), never); len(seen) > 0 {
		t.Errorf("then watchers were told %v", seen)
	}
}
