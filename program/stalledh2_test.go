package program

import (
	"testing"
	"time"
)

// Who reads nothing of an HTTP/2 connection is cut within a minute, whether they live or not, and goes on from the cursor.
func TestStalledHTTP2ReaderIsCutAndResumes(t *testing.T) {
	slow(t, "a stalled reader has up to 60 s")
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	gate := make(chan struct{})
	defer close(gate)
	s, refusal, err := bob.dial(overH2, how{query: "room=lobby", gate: gate})
	if err != nil || refusal != nil {
		t.Fatal(err, refusal)
	}
	since := s.opening().Since
	watch := ada.open(overSSE, "room=lobby")
	watch.opening()
	ada.fillBuffers("lobby")
	want := ids(watch.untilMessage("the last of many"))
	for deadline := time.Now().Add(65 * time.Second); ; {
		e, err := watch.next(time.Until(deadline))
		if err != nil {
			t.Fatalf("waiting for the stalled reader to be cut: %v", err)
		}
		if e.Type == "user_leave" && e.User == "bob" {
			break
		}
	}
	again := bob.open(overH2, "room=lobby&since="+since)
	again.opening()
	if got := ids(again.untilMessage("the last of many")); len(got) != len(want) {
		t.Errorf("coming back it got %s", difference(got, want))
	}
}
