package operate

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// oldPosts writes a Mattermost export of n messages of 2024; every thousandth is pinned.
func oldPosts(t *testing.T, n int) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "export.jsonl")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	to := bufio.NewWriter(f)
	lines := json.NewEncoder(to)
	write := func(kind string, line map[string]any) {
		if err := lines.Encode(map[string]any{"type": kind, kind: line}); err != nil {
			t.Fatal(err)
		}
	}
	write("channel", map[string]any{"team": "acme", "name": "town", "type": "O"})
	for i := range n {
		write("post", map[string]any{"team": "acme", "channel": "town", "user": "ada", "message": fmt.Sprint("xylophone ", i),
			"create_at": 1711958400000 + i, "is_pinned": i%1000 == 7})
	}
	if err := to.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// A server that is killed while it deletes old messages continues after a restart. In the end every old message is gone,
// from the search index too, and pinned and recent ones are still there.
func TestRetentionSurvivesKills(t *testing.T) {
	t.Parallel()
	const count, kills = 20_000, 3
	dir := t.TempDir()
	wantLines(t, imported(t, dir, "mattermost", oldPosts(t, count)), fmt.Sprint(count, " messages"))
	db := harness.OpenDatabase(t, dir)
	defer db.Close()
	number := func(db *sql.DB, query string) (n int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// The import must be old too, since messages behind recent events wait for them.
	to := db
	if !harness.OnPostgres { // db only reads
		var err error
		if to, err = sql.Open("sqlite", "file:"+filepath.Join(dir, "tandem.db")); err != nil {
			t.Fatal(err)
		}
		defer to.Close()
	}
	if _, err := to.ExecContext(t.Context(), fmt.Sprintf(`UPDATE events SET body = replace(body, '"sent_at":"%d-', '"sent_at":"2024-')`, time.Now().UTC().Year())); err != nil {
		t.Fatal(err)
	}
	const messages = `SELECT count(*) FROM events WHERE type = 'chat_message'`
	var want []string
	for i := 7; i < count; i += 1000 {
		want = append(want, fmt.Sprint("xylophone ", i))
	}
	p := harness.StartBinary(t, dir)
	bob := p.Signup(t, "bob")
	bob.Enter("town")
	bob.Post("town", "young")
	want = append(want, "young")
	p.Terminate(t)
	for kill := range kills {
		before := number(db, messages)
		p := harness.StartBinary(t, dir, "TANDEM_RETENTION=30d")
		harness.Eventually(t, "retention deletes 100 messages", func() bool { return number(db, messages) < before-100 })
		p.Kill()
		if left := number(db, messages); left <= len(want) {
			t.Fatalf("kill %d came too late: %d messages left, want more than %d", kill, left, len(want))
		}
	}
	p = harness.StartBinary(t, dir, "TANDEM_RETENTION=30d")
	harness.Eventually(t, "all expired messages are deleted", func() bool { return number(db, `SELECT count(*) FROM log WHERE swept < floor`) == 0 })
	cleo := p.Signup(t, "cleo")
	cleo.Enter("town")
	if got := messagesIn(cleo.History("town", "limit=100")); !slices.Equal(got, want) {
		t.Errorf("kept = %q, want %q", got, want)
	}
	harness.Eventually(t, "the search index is up to date", func() bool {
		return cleo.Do("GET", harness.RoomPath("town")+"/messages?q=xylophone", nil).Status == 200
	})
	if got := cleo.Search(harness.RoomPath("town")+"/messages", "xylophone", ""); len(got) == 0 {
		t.Error("the search does not find the pinned message")
	}
	p.Terminate(t)
	index, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "search.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	if n := number(index, `SELECT count(*) FROM words`); n != len(want) {
		t.Errorf("the index has %d messages, want %d", n, len(want))
	}
}

func messagesIn(page harness.Page) (texts []string) {
	for _, m := range page.Items {
		texts = append(texts, m.Message)
	}
	return texts
}
