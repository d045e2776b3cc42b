package cluster

import (
	"fmt"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// A node with too many users in too many rooms for one message sends its list in pages. A node that starts later counts
// all of them in every room, and notices who leaves.
func TestPresenceOfManyRoomsReachesANewNode(t *testing.T) {
	t.Parallel()
	const people, rooms = 8, 150 // over 1,000 pairs of user and room
	nodes := harness.StartNodes(t, 2, testservers.NewValkey(t))
	here := nodes[0]
	nodes[1].Stop(t)
	clients := make([]*harness.Client, people)
	for i := range clients {
		clients[i] = here.Signup(t, fmt.Sprint("user", i))
	}
	watcher := here.Signup(t, "watcher")
	names := make([]string, rooms)
	for i := range names {
		names[i] = fmt.Sprintf("room%03d", i)
	}
	harness.InParallel(people, func(who int) { // one room after another: all at once would take too long on a busy machine
		for i := who; i < rooms; i += people {
			clients[who].Enter(names[i])
		}
	})
	all := "room=" + strings.Join(names, "&room=")
	streams := make([]*harness.Stream, people)
	for i := range streams {
		streams[i] = clients[i].Open(harness.OverSSE, all)
		streams[i].Opening()
	}
	there := nodes[1].Again(t)
	counts := func(want int) {
		t.Helper()
		harness.Eventually(t, fmt.Sprintf("every room has %d users on the other node", want), func() bool {
			s := watcher.On(there.Server).Open(harness.OverWS, all)
			defer s.Close()
			s.Opening()
			for _, name := range names {
				if s.Lists[name].Count != want+1 { // and the watcher
					return false
				}
			}
			return true
		})
	}
	counts(people)
	for _, s := range streams[1:] {
		s.Close()
	}
	counts(1)
	streams[0].Close()
}
