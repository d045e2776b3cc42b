package harness

import (
	"testing"
)

// Swept reports whether everything that has expired has been deleted.
func (p *Program) Swept(t *testing.T) bool {
	t.Helper()
	var left int
	db := OpenDatabase(t, p.Settings.DataDir)
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM log WHERE swept < floor OR floor = 1) + (SELECT count(*) FROM rooms WHERE swept < floor)`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	return left == 0
}
