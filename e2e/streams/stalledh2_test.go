package streams

import (
	"testing"
	"time"

	"tandem/e2e/harness"
)

// A client that stops reading its HTTP/2 connection is cut within a minute, alive or not, and continues from its
// cursor.
func TestStalledHTTP2ReaderIsCutAndResumes(t *testing.T) {
	harness.Slow(t, "a stalled reader has up to 60 s")
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	gate := make(chan struct{})
	defer close(gate)
	s, refusal, err := bob.Dial(harness.OverH2, harness.Dialing{Query: "room=lobby", Gate: gate})
	if err != nil || refusal != nil {
		t.Fatal(err, refusal)
	}
	since := s.Opening().Since
	watch := ada.Open(harness.OverSSE, "room=lobby")
	watch.Opening()
	ada.FillBuffers("lobby")
	want := harness.IDs(watch.UntilMessage("the last of many"))
	for deadline := time.Now().Add(time.Minute + harness.Patience); ; {
		e, err := watch.Next(time.Until(deadline))
		if err != nil {
			t.Fatalf("waiting for the stalled reader to be cut: %v", err)
		}
		if e.Type == "user_leave" && e.User == "bob" {
			break
		}
	}
	again := bob.Open(harness.OverH2, "room=lobby&since="+since)
	again.Opening()
	if got := harness.IDs(again.UntilMessage("the last of many")); len(got) != len(want) {
		t.Errorf("got %s after the reconnect", harness.Difference(got, want))
	}
}
