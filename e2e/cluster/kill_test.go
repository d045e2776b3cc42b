package cluster

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"tandem/e2e/harness"
)

const killRounds = 20

// TestKilledProgramLosesNoAcknowledgedPost repeatedly kills the program while posts are in flight. Every acknowledged
// post is in the log, others are there once after a retry with their key, and no id is skipped.
func TestKilledProgramLosesNoAcknowledgedPost(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	posts := &killPosts{acknowledged: map[string]int64{}}
	p := harness.StartBinary(t, dataDir)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for round := range killRounds {
		posts.run(ada.On(p.Server), round, func() {
			<-time.After(time.Duration(20+rand.IntN(250)) * time.Millisecond) // the kill comes at a random moment
			p.Kill()
		})
		p = harness.StartBinary(t, dataDir)
		posts.retry(t, ada.On(p.Server))
	}
	kept := map[string][]int64{}
	for _, e := range ada.On(p.Server).WholeHistory("lobby") {
		kept[e.Message] = append(kept[e.Message], e.ID)
	}
	for text, id := range posts.acknowledged {
		if len(kept[text]) != 1 || kept[text][0] != id {
			t.Errorf("ids of %q in the history: got %v, want [%d] as acknowledged", text, kept[text], id)
		}
	}
	p.Terminate(t)
	assertDense(t, dataDir)
	t.Logf("%d posts acknowledged, %d of them after a retry", len(posts.acknowledged), posts.retried)
	if len(posts.acknowledged) < killRounds || posts.retried == 0 {
		t.Errorf("this run: got %d posts acknowledged, %d of them retried, want at least %d, 1", len(posts.acknowledged), posts.retried, killRounds)
	}
}

// killPosts holds the posts of all rounds.
type killPosts struct {
	mu           sync.Mutex
	acknowledged map[string]int64 // by text
	unanswered   []string
	retried      int
}

// run posts on 8 connections until the server is gone.
func (k *killPosts) run(c *harness.Client, round int, kill func()) {
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		kill()
	}()
	harness.InParallel(8, func(i int) {
		for n := 0; ; n++ {
			text := fmt.Sprintf("post %d of poster %d in round %d", n, i, round)
			e, err := c.TryPost("lobby", text, "Idempotency-Key: "+text)
			k.mu.Lock()
			if err != nil {
				k.unanswered = append(k.unanswered, text)
				k.mu.Unlock()
				return
			}
			k.acknowledged[text] = e.ID
			k.mu.Unlock()
		}
	})
	<-killed
}

// retry posts again with the same keys, as a client that got no answer does.
func (k *killPosts) retry(t *testing.T, c *harness.Client) {
	t.Helper()
	for _, text := range k.unanswered {
		e, err := c.TryPost("lobby", text, "Idempotency-Key: "+text)
		if err != nil {
			t.Fatal(err)
		}
		k.acknowledged[text] = e.ID
		k.retried++
	}
	k.unanswered = nil
}

// assertDense checks in the database of a stopped program that the ids of its events are 1, 2, 3 and so on.
func assertDense(t *testing.T, dataDir string) {
	t.Helper()
	db := harness.OpenDatabase(t, dataDir)
	var count, first, last int64
	if err := db.QueryRow(`SELECT count(*), min(id), max(id) FROM events`).Scan(&count, &first, &last); err != nil {
		t.Fatal(err)
	}
	if first != 1 || last != count {
		t.Errorf("ids of %d events: got %d to %d, want 1 to %d", count, first, last, count)
	}
	if harness.OnPostgres {
		return
	}
	var sound string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("integrity_check: got %q, %v, want ok", sound, err)
	}
}
