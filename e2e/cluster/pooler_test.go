package cluster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// Behind a pooler in transaction mode, two nodes keep every acknowledged post once and in order, whatever happens to
// the nodes, the pooler, or the server behind it.
func TestNodesBehindAPooler(t *testing.T) {
	harness.Slow(t, "each fault takes its time")
	c := newCluster(t)
	c.pooler = testservers.NewPgBouncer(t, c.pg)
	for i := range c.nodes {
		c.start(i)
	}
	ada := c.node(0).Signup(t, "ada")
	ada.Enter(faultRoom)
	l := c.load(ada, harness.Transports, 2)
	l.settle()
	var faults []fault // the cluster's own come first: after the others all writers may be at one node
	for _, f := range clusterFaults {
		if slices.ContainsFunc([]string{"a node is killed", "a rolling restart", "PostgreSQL stops at once", "a node is frozen"},
			func(name string) bool { return strings.HasPrefix(f.name, name) }) {
			faults = append(faults, f)
		}
	}
	faults = append(faults, []fault{
		{"the pooler is killed, and comes back", func(t *testing.T, l *load) {
			l.pooler.Kill()
			time.Sleep(lasting(5*time.Second, time.Second))
			if err := l.pooler.Start(); err != nil {
				t.Fatal(err)
			}
		}, refused, true, false},

		{"the pooler is frozen (SIGSTOP)", func(t *testing.T, l *load) {
			l.pooler.Freeze()
			time.Sleep(3 * time.Second)
			l.pooler.Thaw()
		}, refused, true, false},
	}...)
	if len(faults) != 6 {
		t.Errorf("faults to try: got %d, want 6", len(faults))
	}
	l.suffer(t, faults)
	l.finish()
	for _, r := range l.readers {
		if n := r.resets.Load(); n > 0 {
			t.Errorf("resets of the %s reader of node %d: got %d, want 0", r.over, r.node, n)
		}
	}
}
