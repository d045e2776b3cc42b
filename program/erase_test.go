package program

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// erased is how long the bytes of a deleted text may stay in a file.
const erased = 60 * time.Second

// whatIsLeft are the files below dir in which one of the words stands.
func whatIsLeft(t *testing.T, dir string, words ...string) (left []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if bytes.Contains(text, []byte(word)) {
				left = append(left, word+" in "+e.Name())
			}
		}
	}
	return left
}

// A deleted text is in no file of the data directory after a minute: a message, what an edit replaced, a private
// message, and the words in the index.
func TestDeletedTextsAreInNoFile(t *testing.T) {
	if onPostgres {
		t.Skip("what PostgreSQL's files keep is in docs/deploy.md")
	}
	for _, c := range []struct {
		name       string
		load, kill bool
	}{{"idle", false, false}, {"under load", true, false}, {"killed behind the deletion", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			slow(t, "the product takes seconds for it")
			dir := t.TempDir()
			p := startBinary(t, dir, "TANDEM_LIMIT_POSTS=0")
			ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
			eventually(t, "what an earlier process may have left is erased", func() bool {
				for _, name := range []string{"tandem.db-wal", "search.db-wal"} {
					if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() > 0 {
						return false
					}
				}
				return true
			})
			word := func(kind string) string { return fmt.Sprintf("%szz%dzz", kind, rand.Uint64()) }
			message, edit, private, stays := word("message"), word("edit"), word("private"), word("stays")
			ada.enter("lobby")
			bob.enter("lobby")
			ada.post("lobby", stays)
			posted := ada.post("lobby", "say "+message, "Idempotency-Key: k")
			sent := ada.send("bob", "say "+private)
			var stop atomic.Bool
			if c.load {
				loaded := make(chan struct{})
				go func() {
					defer close(loaded)
					inParallel(4, func(i int) {
						for n := 0; !stop.Load() && n < 100_000; n++ {
							e, err := bob.tryPost("lobby", fmt.Sprint("load ", n))
							if err != nil {
								t.Error(err)
								return
							}
							if n%10 == 0 {
								bob.do("DELETE", messagePath("lobby", e.ID), nil).want(204)
							}
							if _, err := bob.try("GET", roomPath("lobby")+"/messages?limit=100", nil); err != nil {
								t.Error(err)
								return
							}
							time.Sleep(10 * time.Millisecond)
						}
					})
				}()
				defer func() { stop.Store(true); <-loaded }()
			}
			for _, w := range []string{message, private} { // the index has them
				path := roomPath("lobby") + "/messages"
				if w == private {
					path = privatePath("bob") + "/messages"
				}
				if found := ada.search(path, w, ""); len(found) != 1 {
					t.Fatalf("the search for %s finds %q", w, found)
				}
			}
			ada.edit("lobby", posted.ID, "say "+edit)
			if found := ada.search(roomPath("lobby")+"/messages", edit, ""); len(found) != 1 {
				t.Fatalf("the search for %s finds %q", edit, found)
			}
			deleted := []string{message, edit, private}
			if left := whatIsLeft(t, dir, append(deleted, stays)...); len(left) < 4 {
				t.Fatalf("the files have only %q before the deletion", left) // the test looks in the wrong place
			}
			ada.do("DELETE", messagePath("lobby", posted.ID), nil).want(204)
			ada.do("DELETE", fmt.Sprint(privatePath("bob"), "/messages/", sent.ID), nil).want(204)
			began := time.Now()
			if c.kill {
				p.kill()
				if left := whatIsLeft(t, dir, deleted...); len(left) == 0 {
					t.Error("nothing is left to erase behind the kill")
				}
				startBinary(t, dir)
			}
			for {
				left := whatIsLeft(t, dir, deleted...)
				if len(left) == 0 {
					break
				}
				if time.Since(began) > erased {
					t.Fatalf("after %s there is still %q", erased, left)
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.Logf("erased after %s", time.Since(began).Round(time.Millisecond))
			if left := whatIsLeft(t, dir, stays); !slices.Contains(left, stays+" in tandem.db") {
				t.Errorf("what was not deleted is in %q", left)
			}
		})
	}
}
