package store

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tandem/chat"
)

// A commit of one post writes a page each of the events and of their index; with a key, two more. Pages determine a
// commit's cost: each is checksummed, written and synced. Now and then one is full and split.
func TestPagesOfACommit(t *testing.T) {
	t.Parallel()
	const page, frameHeader, posts = 4096, 24, 200
	for name, c := range map[string]struct {
		keyed bool
		most  int64
	}{"a post": {false, 2}, "a post with a key": {true, 4}} {
		t.Run(name, func(t *testing.T) {
			p := place{Dir: t.TempDir()}
			s, ada, r := world(t, p, nil)
			size := func() int64 {
				t.Helper()
				info, err := os.Stat(filepath.Join(p.Dir, "tandem.db-wal"))
				if err != nil {
					t.Fatal(err)
				}
				return info.Size()
			}
			var pages []int64
			for i := range posts {
				var key *chat.Key
				if c.keyed {
					key = &chat.Key{Name: string(rune('a'+i%26)) + string(rune('a'+i/26)), Fingerprint: []byte("0123456789abcdef")}
				}
				before := size()
				if _, _, err := s.Post(t.Context(), guardOf(ada, r), message(ada, r, "x"), key); err != nil {
					t.Fatal(err)
				}
				pages = append(pages, (size()-before)/(page+frameHeader))
			}
			slices.Sort(pages)
			if median := pages[posts/2]; median > c.most || pages[0] < 1 {
				t.Errorf("a commit writes %d pages (min %d, max %d), want at most %d", median, pages[0], pages[posts-1], c.most)
			}
		})
	}
}
