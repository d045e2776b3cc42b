package harness

import (
	"bytes"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"tandem/program"
)

func MessagePath(room string, id int64) string { return fmt.Sprint(RoomPath(room), "/messages/", id) }

func (c *Client) Edit(room string, id int64, text string) Event {
	c.T.Helper()
	return c.Do("PATCH", MessagePath(room, id), NewMessage{Message: text}).Want(200).Event()
}

// OnTheSameData starts a second program on the same data, which reads everything from the log.
func (p *Program) OnTheSameData(t *testing.T) *Program {
	t.Helper()
	return StartProgram(t, func(cfg *program.Settings) {
		*cfg = p.Settings
		cfg.Addr = "127.0.0.1:0"
		cfg.RingBytes = 0
	})
}

// AssertNowhere fails the test if a text is in any row of the database or of the search index.
func AssertNowhere(t *testing.T, p *Program, text string) {
	t.Helper()
	index, err := sql.Open("sqlite", "file:"+filepath.Join(p.Settings.DataDir, "search.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	const sqlite = `SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0`
	tables := sqlite
	if OnPostgres {
		tables = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
	}
	for _, place := range []struct {
		db     *sql.DB
		tables string
	}{{OpenDatabase(t, p.Settings.DataDir), tables}, {index, sqlite}} {
		names := column(t, place.db, place.tables)
		if len(names) < 2 {
			t.Errorf("found only the tables %v", names)
		}
		for _, table := range names {
			for _, row := range column(t, place.db, `SELECT * FROM "`+table+`"`) {
				if strings.Contains(row, text) {
					t.Errorf("row of %s: got %s, want none with %q", table, row, text)
				}
			}
		}
	}
}

// column returns the rows of a query, each with its columns joined.
func column(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, to := make([]sql.RawBytes, len(names)), make([]any, len(names))
	for i := range values {
		to[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(bytes.Join(bytesOf(values), []byte{'|'})))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func bytesOf(raw []sql.RawBytes) (all [][]byte) {
	for _, r := range raw {
		all = append(all, r)
	}
	return all
}
