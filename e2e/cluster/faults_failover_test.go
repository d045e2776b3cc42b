package cluster

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// TestFailoverResetsReadersOfTheLostTail promotes a standby that lacks the last commits. Streams with a cursor beyond the
// cut get stream_reset; streams before it continue as if nothing had happened.
func TestFailoverResetsReadersOfTheLostTail(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	var err error
	if c.standby, err = c.pg.Standby(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.standby.Remove)
	for i := range c.nodes {
		c.start(i)
	}
	ada := c.node(0).Signup(t, "ada")
	ada.Enter(faultRoom)
	early := ada.Open(harness.OverSSE, "room="+faultRoom)
	open := early.Opening()
	kept := ada.Post(faultRoom, "kept")
	early.Message("kept")
	early.Close()

	l := c.load(ada, harness.Transports, 0)
	if err := c.standby.Lag(); err != nil {
		t.Fatal(err)
	}
	var lost []int64
	for i := range 3 {
		lost = append(lost, l.at(i%2).Post(faultRoom, fmt.Sprint("lost ", i)).ID)
	}
	for _, r := range l.readers {
		harness.Eventually(t, "every reader has the events that will be lost", func() bool { return r.last.Load() == lost[2] })
	}
	c.pg.Crash()
	began := time.Now()
	if err := c.standby.Promote(); err != nil {
		t.Fatal(err)
	}
	promoted := time.Since(began)
	c.pg = c.standby              // for the checks below
	for _, r := range l.readers { // without any new posts
		harness.Eventually(t, fmt.Sprintf("the %s reader of node %d, whose cursor is beyond the cut, is reset", r.over, r.node), func() bool {
			return r.resets.Load() > 0 && r.last.Load() < lost[0]
		})
	}
	t.Logf("the promotion took %s; every reader was reset within %s after it",
		promoted.Round(time.Millisecond), (time.Since(began) - promoted).Round(time.Millisecond))
	posts, _ := l.settle()
	t.Logf("both nodes answered posts and history after another %s", posts.Round(time.Millisecond))
	after := l.at(1).Post(faultRoom, "after")
	for _, r := range l.readers {
		harness.Eventually(t, "every reader has the post made after the failover", func() bool { return r.last.Load() == after.ID })
	}
	l.tails.stop()

	history := l.at(0).WholeHistory(faultRoom)
	for _, e := range history {
		if len(e.Message) > 4 && e.Message[:4] == "lost" {
			t.Errorf("history of the new log: got %q, want no lost message", e.Message)
		}
	}
	var want []int64
	for _, e := range history {
		if e.ID > kept.ID {
			want = append(want, e.ID)
		}
	}
	for _, r := range l.readers {
		if !slices.Equal(r.seen, append(slices.Clone(lost), want...)) {
			t.Errorf("events of the %s reader of node %d: got %v, want the lost %v, then %v", r.over, r.node, r.seen, lost, want)
		}
	}
	again := l.at(1).Open(harness.OverWS, fmt.Sprintf("room=%s&since=%d.%s", faultRoom, kept.ID, open.Log))
	if e := again.Must("stream_open"); !e.Resumed || e.Log == open.Log {
		t.Errorf("stream from a cursor before the cut: got %s, want it resumed on another log", e.Raw)
	}
	got := again.Until(func(e harness.Event) bool { return e.ID == after.ID })
	if !slices.Equal(harness.IDs(got), want) {
		t.Errorf("events after a cursor before the cut: got %v, want %v", harness.IDs(got), want)
	}
}
