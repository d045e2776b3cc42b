package program

import (
	"os"
	"testing"
)

// TestNeighbouringVersionsSideBySide is a rolling restart to a version whose migrations add to the schema: the node of
// the version before goes on beside it, and can be started again. With TANDEM_PREVIOUS, the path of a binary of the
// version before, that one runs; otherwise it is this version beside a schema of the future.
func TestNeighbouringVersionsSideBySide(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	previous := os.Getenv("TANDEM_PREVIOUS")
	c.binaries[0] = previous
	c.start(0)
	ada := c.node(0).signup(t, "ada")
	ada.enter(faultRoom)
	ada.post(faultRoom, "before")
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
			here, there := ada.on(c.node(i).testServer), ada.on(c.node(1-i).testServer)
			s := there.open(overWS, "room="+faultRoom)
			s.opening()
			e := here.post(faultRoom, name)
			if got := s.message(name); string(got.raw) != string(e.raw) {
				t.Errorf("got  %s\nwant %s", got.raw, e.raw)
			}
			s.close()
			other := c.node(i).signup(t, "user-"+name+string(rune('a'+i)))
			other.enter(name + string(rune('a'+i)))
		}
	}
	both("beside")
	c.node(0).terminate(t)
	c.start(0)
	both("again")
	if got := len(ada.on(c.node(0).testServer).wholeHistory(faultRoom)); got != 5 {
		t.Errorf("the history has %d messages, not 5", got)
	}
}
