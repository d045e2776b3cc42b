package program

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

const killRounds = 20

// TestKilledProgramLosesNoAcknowledgedPost kills the program while posts are in flight, again and again. What was
// answered is there; what was not answered is retried with its key and is there once; and no id is left out.
func TestKilledProgramLosesNoAcknowledgedPost(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	posts := &killPosts{acknowledged: map[string]int64{}}
	p := startBinary(t, dataDir)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for round := range killRounds {
		posts.run(ada.on(p.testServer), round, func() {
			<-time.After(time.Duration(20+rand.IntN(250)) * time.Millisecond) // when the kill comes is not to be foreseen
			p.kill()
		})
		p = startBinary(t, dataDir)
		posts.retry(t, ada.on(p.testServer))
	}
	kept := map[string][]int64{}
	for _, e := range ada.on(p.testServer).wholeHistory("lobby") {
		kept[e.Message] = append(kept[e.Message], e.ID)
	}
	for text, id := range posts.acknowledged {
		if len(kept[text]) != 1 || kept[text][0] != id {
			t.Errorf("the post %q was answered with the id %d; the history has it as %v", text, id, kept[text])
		}
	}
	p.terminate(t)
	assertDense(t, dataDir)
	t.Logf("%d posts acknowledged, %d of them after a retry", len(posts.acknowledged), posts.retried)
	if len(posts.acknowledged) < killRounds || posts.retried == 0 {
		t.Error("this run tried little")
	}
}

// killPosts are the posts of all rounds.
type killPosts struct {
	mu           sync.Mutex
	acknowledged map[string]int64 // by text
	unanswered   []string
	retried      int
}

// run posts on 8 connections until the server is gone.
func (k *killPosts) run(c *client, round int, kill func()) {
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		kill()
	}()
	inParallel(8, func(i int) {
		for n := 0; ; n++ {
			text := fmt.Sprintf("post %d of poster %d in round %d", n, i, round)
			e, err := c.tryPost("lobby", text, "Idempotency-Key: "+text)
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

// retry does what a client does that got no answer: it posts again with the same key.
func (k *killPosts) retry(t *testing.T, c *client) {
	t.Helper()
	for _, text := range k.unanswered {
		e, err := c.tryPost("lobby", text, "Idempotency-Key: "+text)
		if err != nil {
			t.Fatal(err)
		}
		k.acknowledged[text] = e.ID
		k.retried++
	}
	k.unanswered = nil
}

// assertDense looks into the database of a stopped program: the ids of its events are 1, 2, 3 and so on.
func assertDense(t *testing.T, dataDir string) {
	t.Helper()
	db := openDatabase(t, dataDir)
	var count, first, last int64
	if err := db.QueryRow(`SELECT count(*), min(id), max(id) FROM events`).Scan(&count, &first, &last); err != nil {
		t.Fatal(err)
	}
	if first != 1 || last != count {
		t.Errorf("%d events have the ids %d to %d: they are not dense", count, first, last)
	}
	if onPostgres {
		return
	}
	var sound string
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("the database is not sound: %s %v", sound, err)
	}
}
