package program

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestFailoverTellsWhoSawTheLostTail promotes a standby that has not got all that was committed. Streams whose cursors
// are beyond the cut are told so with stream_reset; who stands before it goes on as if nothing had been.
func TestFailoverTellsWhoSawTheLostTail(t *testing.T) {
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
	ada := c.node(0).signup(t, "ada")
	ada.enter(faultRoom)
	early := ada.open(overSSE, "room="+faultRoom)
	open := early.opening()
	kept := ada.post(faultRoom, "kept")
	early.message("kept")
	early.close()

	l := c.load(ada, transports, 0)
	if err := c.standby.Lag(); err != nil {
		t.Fatal(err)
	}
	var lost []int64
	for i := range 3 {
		lost = append(lost, l.at(i%2).post(faultRoom, fmt.Sprint("lost ", i)).ID)
	}
	for _, r := range l.readers {
		eventually(t, "every reader has what will be lost", func() bool { return r.last.Load() == lost[2] })
	}
	c.pg.Crash()
	began := time.Now()
	if err := c.standby.Promote(); err != nil {
		t.Fatal(err)
	}
	promoted := time.Since(began)
	c.pg = c.standby              // for what the test asks of it
	for _, r := range l.readers { // though nobody writes
		eventually(t, fmt.Sprintf("the cursor of the %s reader of node %d, beyond the cut, is reset", r.over, r.node), func() bool {
			return r.resets.Load() > 0 && r.last.Load() < lost[0]
		})
	}
	t.Logf("the promotion took %s; every reader was reset %s after it",
		promoted.Round(time.Millisecond), (time.Since(began) - promoted).Round(time.Millisecond))
	posts, _ := l.settle()
	t.Logf("both nodes answered posts and history after another %s", posts.Round(time.Millisecond))
	anew := l.at(1).post(faultRoom, "anew")
	for _, r := range l.readers {
		eventually(t, "every reader has what came after", func() bool { return r.last.Load() == anew.ID })
	}
	l.tails.stop()

	history := l.at(0).wholeHistory(faultRoom)
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
			t.Errorf("the %s reader of node %d saw %v; lost were %v, and then came %v", r.over, r.node, r.seen, lost, want)
		}
	}
	again := l.at(1).open(overWS, fmt.Sprintf("room=%s&since=%d.%s", faultRoom, kept.ID, open.Log))
	if e := again.must("stream_open"); !e.Resumed || e.Log == open.Log {
		t.Errorf("a cursor before the cut opened %s", e.raw)
	}
	got := again.until(func(e event) bool { return e.ID == anew.ID })
	if !slices.Equal(ids(got), want) {
		t.Errorf("a cursor before the cut brought %v; want %v", ids(got), want)
	}
}
