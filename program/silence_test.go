package program

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/testservers"
)

const (
	// silentAfter is when a node that nobody needs is silent.
	silentAfter = 30 * time.Second
	// listened is longer than any clock of a node but the sweep's.
	listened = 6 * time.Second
)

// Nodes that nobody calls ask nothing of PostgreSQL and Valkey. What happened meanwhile counts for the first call, and
// who is online on the other node is in its first list.
func TestNodesThatNobodyNeedsAreSilent(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: silence comes after half a minute")
	}
	// Not beside the others: a busy machine is never silent.
	database := testservers.Database(t)
	server := database[strings.Index(database, "@")+1:]
	server = server[:strings.Index(server, "/")]
	valkey := testservers.NewValkey(t)
	var nodes [2]*testProgram
	var wires []*testservers.Proxy
	for i := range nodes {
		sql, bus := testservers.NewProxy(t, server), testservers.NewProxy(t, valkey.Addr())
		wires = append(wires, sql, bus)
		nodes[i] = startProgram(t, func(cfg *Settings) {
			cfg.DatabaseURL = strings.Replace(database, server, sql.Addr(), 1)
			cfg.ValkeyURL = "valkey://" + bus.Addr()
		})
	}
	asked := func() (n []int64) {
		for _, w := range wires {
			n = append(n, w.Asked())
		}
		return n
	}
	ada, bob, eve := nodes[0].signup(t, "ada"), nodes[0].signup(t, "bob"), nodes[1].signup(t, "eve")
	ada.enter("lobby")
	eve.enter("lobby")
	bob.do("GET", "/v1/me", nil).want(200)
	s := ada.open(overSSE, "room=lobby")
	cursor := s.opening().Since
	s.close()
	before := asked()
	time.Sleep(silentAfter)
	quiet := asked()
	if slices.Equal(before, quiet) {
		t.Error("the nodes were silent at once; nothing was measured")
	}
	time.Sleep(listened)
	if now := asked(); !slices.Equal(now, quiet) {
		t.Errorf("nodes that nobody needs sent %v bytes, and %v some seconds later", quiet, now)
	}
	line, err := OpenAdmin(t.Context(), nodes[0].settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := line.SetDisabled(t.Context(), "bob", true); err != nil {
		t.Error(err)
	}
	if err := line.Close(); err != nil {
		t.Error(err)
	}
	posted := eve.post("lobby", "while node 0 slept")
	bob.do("GET", "/v1/me", nil).wantProblem(401, "invalid_token", "")
	adas := ada.open(overSSE, fmt.Sprint("room=lobby&since=", cursor))
	adas.opening()
	if got := adas.untilMessage(posted.Message); got[len(got)-1].ID != posted.ID {
		t.Errorf("the stream has %+v", got)
	}
	eves := eve.open(overSSE, "room=lobby")
	if e := eves.until(func(e event) bool { return e.Type == "user_list" }); !strings.Contains(string(e[len(e)-1].raw), "ada") {
		t.Errorf("the list of node 1 is %s", e[len(e)-1].raw)
	}
}
