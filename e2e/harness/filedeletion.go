package harness

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Alter runs statements on the database of a stopped program.
func Alter(t *testing.T, dataDir, statement string, args ...any) {
	t.Helper()
	driver, name := "sqlite", "file:"+filepath.Join(dataDir, "tandem.db")
	if url := DatabaseOf(t, dataDir); url != "" {
		driver, name = "pgx", url
		for i := range args {
			statement = strings.Replace(statement, "?", fmt.Sprint("$", i+1), 1)
		}
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatal(err)
	}
}

// Age makes all files of a stopped program, and its last sweep, older by the given time.
func Age(t *testing.T, dataDir string, by time.Duration) {
	t.Helper()
	Alter(t, dataDir, `UPDATE files SET created_at = created_at - ?`, by.Milliseconds())
	Alter(t, dataDir, `UPDATE file_sweeps SET at = 0`)
	for _, name := range Blobs(t, dataDir) {
		path := filepath.Join(dataDir, "files", name[:2], name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		at := info.ModTime().Add(-by)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
}
