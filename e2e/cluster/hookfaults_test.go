package cluster

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// checkDelivered checks what a receiver got for at-least-once delivery in order: no id is missing, each id is the next
// or a repeated one, and each fault repeats at most one batch.
func checkDelivered(t *testing.T, calls []harness.HookCall, secret string, want []int64, faults int) {
	t.Helper()
	var done []int64
	again := 0
	for _, c := range calls {
		c.Verify(t, secret)
		ids := c.IDs(t)
		if len(ids) == 0 || len(ids) > 100 || !slices.IsSorted(ids) {
			t.Fatalf("batch: got ids %v, want 1 to 100 in order", ids)
		}
		if len(done) > 0 && ids[0] <= done[len(done)-1] {
			again++
		}
		for _, id := range ids {
			switch {
			case len(done) < len(want) && id == want[len(done)]:
				done = append(done, id)
			case !slices.Contains(done, id):
				t.Fatalf("events: got %d after %v, want the next or a repeated one", id, done)
			}
		}
	}
	if !slices.Equal(done, want) {
		t.Errorf("events delivered: got %d, want all %d in order", len(done), len(want))
	}
	if again == 0 || again > faults {
		t.Errorf("repeated batches: got %d, want 1 to %d", again, faults)
	}
	t.Logf("%d events in %d batches, %d of them repeated", len(done), len(calls), again)
}

// A program that is killed while it sends continues where it was after a restart.
func TestKilledProgramResumesSending(t *testing.T) {
	harness.Slow(t, "the killed program's leases have to run out")
	dataDir := t.TempDir()
	const allow = "TANDEM_HOOKS_ALLOW=127.0.0.1"
	p := harness.StartBinary(t, dataDir, allow)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	to := harness.NewReceiver(t)
	h := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": to.URL})
	var want []int64
	const rounds = 2
	for round := range rounds {
		c := ada.On(p.Server)
		to.InMidBatch(func() {
			for n := range 150 {
				want = append(want, c.Post("lobby", fmt.Sprintf("post %d of round %d", n, round)).ID)
			}
		}, p.Kill)
		p = harness.StartBinary(t, dataDir, allow)
	}
	c := ada.On(p.Server)
	last := c.Post("lobby", "the end").ID
	want = append(want, last)
	to.Events(last)
	c.HookReaches(h.ID, last)
	checkDelivered(t, to.Wait("a call", func([]harness.HookCall) bool { return true }), h.Secret, want, rounds+to.GaveUp())
	p.Terminate(t)
}

// When the node that serves a hook is killed while it sends, the other node continues.
func TestHooksOfKilledNodeMoveToTheOther(t *testing.T) {
	harness.Slow(t, "the killed node's leases have to run out")
	c := startCluster(t)
	ada := c.node(0).Signup(t, "ada")
	ada.Enter("lobby")
	to := harness.NewReceiver(t)
	h := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": to.URL})
	var want []int64
	post := func(on *harness.Client) {
		for n := range 120 {
			want = append(want, on.Post("lobby", fmt.Sprint("post ", n)).ID)
		}
	}
	// The node that starts first gets the hook. At least one of the two is killed while it sends.
	for i := range c.nodes {
		to.InMidBatch(func() { post(ada.On(c.node(1 - i).Server)) }, c.node(i).Kill)
		post(ada.On(c.node(1 - i).Server))
		to.Events(want[len(want)-1])
		c.start(i)
	}
	on := ada.On(c.node(0).Server)
	on.HookReaches(h.ID, want[len(want)-1])
	checkDelivered(t, to.Wait("a call", func([]harness.HookCall) bool { return true }), h.Secret, want, 2+to.GaveUp())
}

// With 100 hooks, of which 50 never get an answer, the others still get events at once and posts are answered.
func TestHangingHooksDelayNobody(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada := p.Signup(t, "ada")
	var hanging, well []*harness.Receiver
	release := make(chan struct{})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	for room := range 5 {
		name := fmt.Sprint("room", room)
		ada.Enter(name)
		bad, good := harness.NewReceiver(t), harness.NewReceiver(t)
		bad.AnswerWith(func(http.ResponseWriter, harness.HookCall) { <-release })
		hanging, well = append(hanging, bad), append(well, good)
		for n := range 20 {
			to := good
			if n%2 == 0 {
				to = bad
			}
			ada.CreateHook("/v1/rooms/"+name+"/hooks", map[string]any{"url": to.URL})
		}
	}
	const posts = 5
	for n := range posts {
		began := time.Now()
		for room := range 5 {
			name := fmt.Sprint("room", room)
			id := ada.Post(name, fmt.Sprint("post ", n)).ID
			well[room].Wait("the post at ten hooks", func(calls []harness.HookCall) bool {
				have := map[int64]bool{}
				for _, c := range calls {
					if slices.Contains(c.IDs(t), id) {
						have[c.Hook] = true
					}
				}
				return len(have) == 10
			})
		}
		t.Logf("post %d reached 50 hooks after %s", n, time.Since(began))
	}
	for _, r := range hanging {
		for _, c := range r.Wait("the first batches", func(c []harness.HookCall) bool { return len(c) >= 10 }) {
			if len(c.IDs(t)) == 0 {
				t.Error("batch: got no events, want at least one")
			}
		}
	}
	once.Do(func() { close(release) })
}

// A hook is paused after failing for 3 days and at least 12 times; only one of the two is not enough. When it is
// resumed it has missed nothing.
func TestFailingHookIsPausedAfterDays(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	const day = 24 * time.Hour
	all := []struct {
		failures int
		since    time.Duration
		paused   bool
		to       *harness.Receiver
		harness.Hook
	}{
		{failures: 12, since: 3*day + time.Minute, paused: true},
		{failures: 12, since: 3*day - time.Hour},
		{failures: 11, since: 3*day + time.Minute},
	}
	fails := func(w http.ResponseWriter, _ harness.HookCall) { w.WriteHeader(http.StatusServiceUnavailable) }
	for i := range all {
		h := &all[i]
		h.to = harness.NewReceiver(t)
		h.to.AnswerWith(fails)
		h.Hook = ada.CreateHook(harness.LobbyHooks, map[string]any{"url": h.to.URL})
	}
	first := ada.Post("lobby", "one")
	for i := range all {
		all[i].to.Events(first.ID)
	}
	p.Stop(t)
	tried := make([]int, len(all))
	for i, h := range all {
		tried[i] = len(h.to.Wait("a call", func([]harness.HookCall) bool { return true }))
		harness.Alter(t, p.Settings.DataDir, `UPDATE followers SET failures = ?, failing_since = ?, retry_at = 0, error = 'before' WHERE name = ?`,
			h.failures, time.Now().Add(-h.since).UnixMilli(), "hook:"+harness.Itoa(h.ID))
	}
	p = p.Again(t)
	ada = ada.On(p.Server)
	for i, h := range all {
		h.to.Wait("another attempt", func(c []harness.HookCall) bool { return len(c) > tried[i] })
		var now harness.Hook
		harness.Eventually(t, "the failed attempt is recorded", func() bool {
			now = ada.Hook(harness.LobbyHooks, h.ID)
			return now.Paused || now.LastError != "before"
		})
		if now.Paused != h.paused || h.paused && !strings.Contains(now.PausedReason, "3 days") || !h.paused && now.RetryAt == "" {
			t.Errorf("hook after %d failures in %s: got %+v, want paused %t", h.failures, h.since, now, h.paused)
		}
	}
	h := all[0]
	h.to.AnswerWith(nil)
	last := ada.Post("lobby", "two")
	if now := ada.Hook(harness.LobbyHooks, h.ID); now.Lag != 2 {
		t.Errorf("paused hook: got %+v, want lag 2", now)
	}
	ada.Do("PATCH", harness.LobbyHooks+"/"+harness.Itoa(h.ID), map[string]any{"paused": false}).Want(200)
	h.to.Events(last.ID)
	ada.HookReaches(h.ID, last.ID)
	calls := h.to.Wait("a call", func([]harness.HookCall) bool { return true })
	for i, c := range calls[tried[0]:] { // the failed attempt, and what followed the resumption
		if ids := c.IDs(t); ids[0] != first.ID && i < 2 {
			t.Errorf("call %d after the pause: got ids %v, want them to start with %d", i, ids, first.ID)
		}
	}
}
