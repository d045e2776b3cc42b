package cluster

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// TestKilledProgramLosesNoFile repeatedly kills the program while files are uploaded, posted and deleted. Everything
// acknowledged holds: an upload can be posted, a post has its files with the right bytes, and a deleted file is gone.
// In the end the sweep leaves only the files of messages.
func TestKilledProgramLosesNoFile(t *testing.T) {
	t.Parallel()
	rounds := 10
	if harness.Long {
		rounds = 40
	}
	dataDir := t.TempDir()
	k := &killFiles{t: t, uploaded: map[string]string{}, posted: map[int64]harness.File{}, deleted: map[int64]harness.File{}}
	start := func() *harness.Process { return harness.StartBinary(t, dataDir, "TANDEM_LIMIT_FILES=0") }
	p := start()
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	// Slow machines do less in a round, so they need more of them.
	deadline := time.Now().Add(2 * harness.Patience)
	enough := func() bool { return len(k.posted) >= rounds && len(k.deleted) > 0 && k.reposted+k.redeleted > 0 }
	for round := 0; round < rounds || !enough() && time.Now().Before(deadline); round++ {
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			<-time.After(time.Duration(50+rand.IntN(300)) * time.Millisecond) // the kill comes at a random moment
			p.Kill()
		}()
		harness.InParallel(6, func(i int) { k.run(ada.On(p.Server), fmt.Sprintf("%d of %d", i, round)) })
		<-killed
		p = start()
		k.retry(ada.On(p.Server))
		k.check(ada.On(p.Server))
	}
	p.Terminate(t)
	harness.Age(t, dataDir, 25*time.Hour)
	p = start()
	var all []harness.File
	for _, e := range ada.On(p.Server).WholeHistory("lobby") {
		if e.Deleted {
			continue
		}
		files := harness.FilesOf(t, e)
		if len(files) != 1 {
			t.Fatalf("message: got %s, want one file", e.Raw)
		}
		all = append(all, files...)
	}
	harness.WantBlobs(t, dataDir, all...)
	if left := harness.Unfinished(t, dataDir); len(left) > 0 {
		t.Errorf("unfinished files: got %v, want none", left)
	}
	k.check(ada.On(p.Server))
	p.Terminate(t)
	assertDense(t, dataDir)
	t.Logf("%d files were uploaded, %d posted, %d deleted; %d posts and %d deletions were tried again", len(k.uploaded), len(k.posted), len(k.deleted), k.reposted, k.redeleted)
	if !enough() {
		t.Errorf("this run: got %d posts, %d deletions, %d retries, want at least %d, 1, 1", len(k.posted), len(k.deleted), k.reposted+k.redeleted, rounds)
	}
}

// killFiles records the requests and their answers.
type killFiles struct {
	t         *testing.T
	mu        sync.Mutex
	uploaded  map[string]string      // contents, by id
	posting   []harness.File         // their posts got no answer
	deleting  map[int64]harness.File // their deletions got no answer
	posted    map[int64]harness.File
	deleted   map[int64]harness.File
	reposted  int
	redeleted int
}

func (k *killFiles) set(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// run uploads, posts and deletes until the server is gone.
func (k *killFiles) run(c *harness.Client, name string) {
	for n := 0; ; n++ {
		content := fmt.Sprintf("%d by %s ", n, name) + strings.Repeat("x", 50_000+rand.IntN(200_000))
		a, err := c.Try("POST", harness.RoomPath("lobby")+"/files?name=a.txt", harness.Raw(content))
		if err != nil {
			return
		}
		var f harness.File
		a.Want(201).Into(&f)
		k.set(func() { k.uploaded[f.ID] = content })
		a, err = c.Try("POST", harness.RoomPath("lobby")+"/messages", harness.WithFiles(f), "Idempotency-Key: "+f.ID)
		if err != nil {
			k.set(func() { k.posting = append(k.posting, f) })
			return
		}
		id := a.Want(201).Event().ID
		if n%2 == 0 {
			k.set(func() { k.posted[id] = f })
			continue
		}
		if a, err = c.Try("DELETE", harness.MessagePath("lobby", id), nil); err != nil {
			k.set(func() {
				if k.deleting == nil {
					k.deleting = map[int64]harness.File{}
				}
				k.deleting[id] = f
			})
			return
		}
		a.Want(204)
		k.set(func() { k.deleted[id] = f })
	}
}

// retry repeats the requests that got no answer, as a client does.
func (k *killFiles) retry(c *harness.Client) {
	for _, f := range k.posting {
		a := c.Do("POST", harness.RoomPath("lobby")+"/messages", harness.WithFiles(f), "Idempotency-Key: "+f.ID)
		if a.Status != 200 && a.Status != 201 {
			k.t.Fatalf("posting an acknowledged upload: got %d %s, want 200 or 201", a.Status, a.Body)
		}
		k.posted[a.Event().ID] = f
		k.reposted++
	}
	for id, f := range k.deleting {
		c.Do("DELETE", harness.MessagePath("lobby", id), nil).Want(204)
		k.deleted[id] = f
		k.redeleted++
	}
	k.posting, k.deleting = nil, nil
}

// check compares a sample of the files with what was acknowledged.
func (k *killFiles) check(c *harness.Client) {
	k.t.Helper()
	for _, f := range sampled(k.posted) {
		if got := c.Do("GET", harness.FilePath(f), nil).Want(200); string(got.Body) != k.uploaded[f.ID] {
			k.t.Errorf("content of file %s: got %d bytes, want the %d that were sent", f.ID, len(got.Body), len(k.uploaded[f.ID]))
		}
	}
	for _, f := range sampled(k.deleted) {
		c.Do("GET", harness.FilePath(f), nil).WantProblem(404, "file_not_found", "id")
	}
}

func sampled(all map[int64]harness.File) (some []harness.File) {
	for _, f := range all { // in random order
		if some = append(some, f); len(some) == 40 {
			break
		}
	}
	return some
}
