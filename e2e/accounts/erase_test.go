package accounts

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// erased is the longest time that the bytes of a deleted text may stay in a file.
var erased = harness.Within(60 * time.Second)

// A minute after its deletion a text is in no file of the data directory: a message, the text before an edit, a private
// message, the words in the search index, names and bytes of files, and a user's profile.
func TestDeletedTextsAreInNoFile(t *testing.T) {
	if harness.OnPostgres {
		t.Skip("what PostgreSQL's files keep is in docs/deploy.md")
	}
	for _, c := range []struct {
		name       string
		load, kill bool
	}{{"idle", false, false}, {"under load", true, false}, {"killed behind the deletion", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			harness.Slow(t, "the product takes seconds for it")
			dir := t.TempDir()
			p := harness.StartBinary(t, dir, "TANDEM_LIMIT_POSTS=0")
			harness.Eventually(t, "the leftovers of an earlier process are erased", func() bool {
				for _, name := range []string{"tandem.db-wal", "search.db-wal"} {
					if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() > 0 {
						return false
					}
				}
				return true
			})
			ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
			word := func(kind string) string { return fmt.Sprintf("%szz%dzz", kind, rand.Uint64()) }
			message, edit, private, stays := word("message"), word("edit"), word("private"), word("stays")
			name, content, profile := word("name"), word("content"), word("profile")
			ada.ChangeMe(harness.Fields{"display_name": profile, "data": harness.Fields{"a": profile}})
			ada.Enter("lobby")
			bob.Enter("lobby")
			ada.Post("lobby", stays)
			with := harness.WithFiles(ada.Upload(harness.RoomPath("lobby"), name+".txt", "has "+content))
			with["message"] = "say " + message
			posted := ada.Do("POST", harness.RoomPath("lobby")+"/messages", with, "Idempotency-Key: k").Want(201).Event()
			sent := ada.Send("bob", "say "+private)
			var stop atomic.Bool
			if c.load {
				loaded := make(chan struct{})
				go func() {
					defer close(loaded)
					harness.InParallel(4, func(i int) {
						for n := 0; !stop.Load() && n < 100_000; n++ {
							e, err := bob.TryPost("lobby", fmt.Sprint("load ", n))
							if err != nil {
								t.Error(err)
								return
							}
							if n%10 == 0 {
								bob.Do("DELETE", harness.MessagePath("lobby", e.ID), nil).Want(204)
							}
							if _, err := bob.Try("GET", harness.RoomPath("lobby")+"/messages?limit=100", nil); err != nil {
								t.Error(err)
								return
							}
							time.Sleep(10 * time.Millisecond)
						}
					})
				}()
				defer func() { stop.Store(true); <-loaded }()
			}
			for _, w := range []string{message, private} { // they must be in the index first
				path := harness.RoomPath("lobby") + "/messages"
				if w == private {
					path = harness.PrivatePath("bob") + "/messages"
				}
				if found := ada.Search(path, w, ""); len(found) != 1 {
					t.Fatalf("the search for %s finds %q", w, found)
				}
			}
			ada.Edit("lobby", posted.ID, "say "+edit)
			if found := ada.Search(harness.RoomPath("lobby")+"/messages", edit, ""); len(found) != 1 {
				t.Fatalf("the search for %s finds %q", edit, found)
			}
			deleted := []string{message, edit, private, name, content, profile}
			if left := harness.WhatIsLeft(t, dir, append(deleted, stays)...); len(left) < 7 {
				t.Fatalf("files before the deletion contain only %q", left) // otherwise the test looks in the wrong place
			}
			ada.ChangeMe(harness.Fields{"display_name": nil, "data": nil})
			ada.Do("DELETE", harness.MessagePath("lobby", posted.ID), nil).Want(204)
			ada.Do("DELETE", fmt.Sprint(harness.PrivatePath("bob"), "/messages/", sent.ID), nil).Want(204)
			began := time.Now()
			if c.kill {
				p.Kill()
				if left := harness.WhatIsLeft(t, dir, deleted...); len(left) == 0 {
					t.Error("nothing left to erase after the kill: the kill came too late")
				}
				harness.StartBinary(t, dir)
			}
			for {
				left := harness.WhatIsLeft(t, dir, deleted...)
				if len(left) == 0 {
					break
				}
				if time.Since(began) > erased {
					t.Fatalf("after %s the files still contain %q", erased, left)
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.Logf("erased after %s", time.Since(began).Round(time.Millisecond))
			if left := harness.WhatIsLeft(t, dir, stays); !slices.Contains(left, stays+" in tandem.db") {
				t.Errorf("kept text found only in %q", left)
			}
		})
	}
}
