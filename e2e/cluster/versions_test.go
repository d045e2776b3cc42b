package cluster

import (
	"os"
	"testing"

	"tandem/e2e/harness"
)

// TestNeighbouringVersionsSideBySide does a rolling restart to a version whose migrations add to the schema. A node of
// the previous version keeps working beside it, and can be restarted. TANDEM_PREVIOUS is the path of a binary of the
// previous version; without it, this version runs beside a future schema.
func TestNeighbouringVersionsSideBySide(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	previous := os.Getenv("TANDEM_PREVIOUS")
	c.binaries[0] = previous
	c.start(0)
	ada := c.node(0).Signup(t, "ada")
	ada.Enter(faultRoom)
	ada.Post(faultRoom, "before")
	if previous == "" {
		err := c.pg.Exec(c.database,
			`ALTER TABLE users ADD COLUMN future TEXT`, `ALTER TABLE rooms ADD COLUMN future BIGINT NOT NULL DEFAULT 0`,
			`ALTER TABLE events ADD COLUMN future TEXT`, `CREATE TABLE future (event_id BIGINT PRIMARY KEY)`,
			`CREATE INDEX events_by_future ON events (future) WHERE future IS NOT NULL`,
			`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
		if err != nil {
			t.Fatal(err)
		}
	}
	c.start(1)
	both := func(name string) {
		for i := range c.nodes {
			here, there := ada.On(c.node(i).Server), ada.On(c.node(1-i).Server)
			s := there.Open(harness.OverWS, "room="+faultRoom)
			s.Opening()
			e := here.Post(faultRoom, name)
			if got := s.Message(name); string(got.Raw) != string(e.Raw) {
				t.Errorf("message on the other node: got %s, want %s", got.Raw, e.Raw)
			}
			s.Close()
			other := c.node(i).Signup(t, "user-"+name+string(rune('a'+i)))
			other.Enter(name + string(rune('a'+i)))
		}
	}
	both("beside")
	c.node(0).Terminate(t)
	c.start(0)
	both("again")
	if got := len(ada.On(c.node(0).Server).WholeHistory(faultRoom)); got != 5 {
		t.Errorf("messages in the history: got %d, want 5", got)
	}
}
