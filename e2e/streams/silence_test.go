package streams

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
	"tandem/testservers"
)

const (
	// silentAfter is the time after which an unused node falls silent.
	silentAfter = 30 * time.Second
	// listened is longer than any interval of a node's, except the sweep's.
	listened = 6 * time.Second
)

// Unused nodes do not query PostgreSQL or Valkey. The first call sees everything that happened meanwhile, and
// presence has the users of the other node.
func TestIdleNodesAreSilent(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: silence comes after half a minute")
	}
	// Not parallel: a busy machine is never silent.
	database := testservers.Database(t)
	server := database[strings.Index(database, "@")+1:]
	server = server[:strings.Index(server, "/")]
	valkey := testservers.NewValkey(t)
	var nodes [2]*harness.Program
	var wires []*testservers.Proxy
	for i := range nodes {
		sql, bus := testservers.NewProxy(t, server), testservers.NewProxy(t, valkey.Addr())
		wires = append(wires, sql, bus)
		nodes[i] = harness.StartProgram(t, harness.WithMetrics, func(cfg *program.Settings) {
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
	ada, bob, eve := nodes[0].Signup(t, "ada"), nodes[0].Signup(t, "bob"), nodes[1].Signup(t, "eve")
	ada.Enter("lobby")
	eve.Enter("lobby")
	bob.Do("GET", "/v1/me", nil).Want(200)
	s := ada.Open(harness.OverSSE, "room=lobby")
	cursor := s.Opening().Since
	s.Close()
	before := asked()
	time.Sleep(silentAfter)
	quiet := asked()
	if slices.Equal(before, quiet) {
		t.Error("the nodes were silent at once: nothing measured")
	}
	for _, n := range nodes { // looking at /metrics wakes nobody
		if awake := n.Scrape(t).Value("tandem_awake"); awake != 0 {
			t.Errorf("tandem_awake = %v, want 0 while the node is silent", awake)
		}
	}
	time.Sleep(listened)
	if now := asked(); !slices.Equal(now, quiet) {
		t.Errorf("unused nodes sent %v bytes, and %v some seconds later", quiet, now)
	}
	line, err := program.OpenAdmin(t.Context(), nodes[0].Settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := line.SetDisabled(t.Context(), "bob", true); err != nil {
		t.Error(err)
	}
	if err := line.Close(); err != nil {
		t.Error(err)
	}
	posted := eve.Post("lobby", "while node 0 slept")
	bob.Do("GET", "/v1/me", nil).WantProblem(401, "invalid_token", "")
	adas := ada.Open(harness.OverSSE, fmt.Sprint("room=lobby&since=", cursor))
	adas.Opening()
	if got := adas.UntilMessage(posted.Message); got[len(got)-1].ID != posted.ID {
		t.Errorf("stream got %+v", got)
	}
	eves := eve.Open(harness.OverSSE, "room=lobby")
	eves.Until(func(e harness.Event) bool { // she may have come a moment after the list was made
		return e.Type == "user_list" && slices.Contains(e.Users, "ada") || e.Type == "user_join" && e.User == "ada"
	})
}
