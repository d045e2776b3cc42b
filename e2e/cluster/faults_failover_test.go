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
		harness.Eventually(t, "every reader has what will be lost", func() bool { return r.last.Load() == lost[2] })
	}
	c.pg.Crash()
	began := time.Now()
	if err := c.standby.Promote(); err != nil {
		t.Fatal(err)
	}
	promoted := time.Since(began)
	c.pg = c.standby              // for the checks below
	for _, r := range l.readers { // without any new posts
		harness.Eventually(t, fmt.Sprintf("the cursor of the %s reader of node %d, beyond the cut, is reset", r.over, r.node), func() bool {
			return r.resets.Load() > 0 && r.last.Load() < lost[0]
		})
	}
	t.Logf("the promotion took %s; every reader was reset within %s after it",
		promoted.Round(time.Millisecond), (time.Since(began) - promoted).Round(time.Millisecond))
	posts, _ := l.settle()
	t.Logf("both nodes answered posts and history after another %s", posts.Round(time.Millisecond))
	anew := l.at(1).Post(faultRoom, "anew")
	for _, r := range l.readers {
		harness.Eventually(t, "every reader has what came after", func() bool { return r.last.Load() == anew.ID })
	}
	l.tails.stop()

	history := l.at(0).WholeHistory(faultRoom)
	for _, e := range history {
		if len(e.Message) > 4 && e.Message[:4] == "lost" {
			t.Errorf("%q is in the history of the new log", e.Message)
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
			t.Errorf("the %s reader of node %d saw %v; it lost %v and then got %v", r.over, r.node, r.seen, lost, want)
		}
	}
	again := l.at(1).Open(harness.OverWS, fmt.Sprintf("room=%s&since=%d.%s", faultRoom, kept.ID, open.Log))
	if e := again.Must("stream_open"); !e.Resumed || e.Log == open.Log {
		t.Errorf("a cursor before the cut opened %s", e.Raw)
	}
	got := again.Until(func(e harness.Event) bool { return e.ID == anew.ID })
	if !slices.Equal(harness.IDs(got), want) {
		t.Errorf("a cursor before the cut brought %v; want %v", harness.IDs(got), want)
	}
}
