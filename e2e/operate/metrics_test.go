package operate

import (
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
	"tandem/testservers"
)

// Each of our metrics has a help text and counts what it says.
func TestMetricsCount(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithMetrics, harness.WithAdmin, harness.StillLimits, func(cfg *program.Settings) { cfg.LimitEphemeral = 1; cfg.LimitFiles = 1000 })
	root, ada := p.Admin(t), p.Signup(t, "ada")
	before := p.Scrape(t)
	ada.Enter("lobby")
	s := ada.Open(harness.OverSSE, "room=lobby")
	s.Opening()
	const posted = 200 // one delivery in 16 is measured, chosen by a hash
	for range posted {
		ada.Post("lobby", "hi")
		s.Until(func(e harness.Event) bool { return e.Type == "chat_message" })
	}
	root.Do("GET", "/v1/rooms/nowhere", nil).WantProblem(404, "room_not_found", "")
	for range 3 { // two concurrent requests are allowed
		ada.Do("POST", "/v1/rooms/lobby/events", map[string]any{"name": "move", "ephemeral": true})
	}
	file := ada.Upload("/v1/rooms/lobby", "a.txt", "some text")
	ada.Do("GET", "/v1/files/"+file.ID, nil).Want(200)

	now := p.Scrape(t)
	for name, family := range now {
		if strings.HasPrefix(name, "tandem_") && len(family.GetHelp()) < 10 {
			t.Errorf("%s: help = %q, want a sentence", name, family.GetHelp())
		}
	}
	gained := func(least float64, name string, labels ...string) {
		t.Helper()
		if was, is := before.Value(name, labels...), now.Value(name, labels...); is-max(was, 0) < least {
			t.Errorf("%s %v went from %v to %v, want %v more", name, labels, was, is, least)
		}
	}
	gained(1, "tandem_streams", "transport", "sse")
	gained(1, "tandem_streams_opened_total", "transport", "sse")
	gained(1, "tandem_users_online")
	gained(posted, "tandem_messages_total")
	gained(posted, "tandem_deliveries_total")
	gained(1, "tandem_post_delivery_seconds")
	gained(1, "tandem_commit_seconds")
	gained(1, "tandem_commit_writes")
	gained(posted, "tandem_log_head")
	gained(posted, "tandem_ring_events")
	gained(posted, "tandem_ring_bytes")
	gained(1, "tandem_topics")
	gained(posted, "tandem_requests_total", "class", "2xx")
	gained(2, "tandem_requests_total", "class", "4xx")
	gained(1, "tandem_problems_total", "code", "room_not_found")
	gained(1, "tandem_problems_total", "code", "rate_limited")
	gained(1, "tandem_limited_total", "limit", "ephemeral")
	gained(1, "tandem_files_uploaded_total")
	gained(9, "tandem_files_uploaded_bytes_total")
	gained(1, "tandem_files_served_total")
	for name, want := range map[string]float64{
		"tandem_commit_failures_total": 0, "tandem_log_gaps_total": 0, "tandem_panics_total": -2, "tandem_nodes": 1, "tandem_awake": 1,
		"tandem_bus_connected": -1, "tandem_writes_waiting": 0, "tandem_ring_limit_bytes": float64(p.Settings.RingBytes),
	} {
		if is := now.Value(name); is != want && want != -2 { // other tests cause panics in this process on purpose
			t.Errorf("%s is %v, want %v", name, is, want)
		}
	}
	if n := now.Value("tandem_post_delivery_seconds"); n > posted/2 {
		t.Errorf("%v of %d deliveries were measured, want about one in 16", n, posted)
	}
	if now.Value("tandem_followers", "kind", "words") != 1 || now.Value("tandem_followers_lag_events", "kind", "words") < 0 ||
		now.Value("tandem_followers_failing", "kind", "words") != 0 {
		t.Errorf("followers = %v", now["tandem_followers"])
	}
}

// Both nodes count the messages between them.
func TestMetricsOfTheBus(t *testing.T) {
	t.Parallel()
	nodes := harness.StartNodes(t, 2, testservers.NewValkey(t), harness.WithMetrics)
	ada := nodes[0].Signup(t, "ada")
	ada.Enter("lobby")
	s := ada.Open(harness.OverSSE, "room=lobby")
	s.Opening()
	ada.Post("lobby", "hi")
	for _, n := range nodes {
		harness.Eventually(t, "/metrics has the bus", func() bool {
			now := n.Scrape(t)
			return now.Value("tandem_bus_connected") == 1 && now.Value("tandem_bus_sent_total") > 0 && now.Value("tandem_bus_received_total") > 0 &&
				now.Value("tandem_nodes") == 2 && now.Value("tandem_bus_forged_total") == 0
		})
	}
}
