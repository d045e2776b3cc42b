package store

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// Nodes of the previous version run beside migrated ones: a migration may only add, and old nodes must not need what it
// adds. An index that is not a constraint may be dropped: without it they are slower.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	comment := regexp.MustCompile(`--[^\n]*`)
	forbidden := regexp.MustCompile(`(?i)\b(DROP|RENAME|TRUNCATE|SET NOT NULL|CREATE TRIGGER|ADD CONSTRAINT|ALTER COLUMN \S+ TYPE|ALTER COLUMN \S+ SET DATA)\b`)
	dropped := regexp.MustCompile(`(?i)^\s*DROP INDEX (CONCURRENTLY )?(IF EXISTS )?events_\w+\s*$`)
	column := regexp.MustCompile(`(?i)\bADD COLUMN\b`)
	demanding := regexp.MustCompile(`(?i)\bNOT NULL\b`)
	defaulted := regexp.MustCompile(`(?i)\bDEFAULT\b`)
	made := map[string]bool{} // tables in the same file may change
	table := regexp.MustCompile(`(?i)\bCREATE TABLE (\w+)`)
	unique := regexp.MustCompile(`(?i)\bCREATE UNIQUE INDEX \w+\s+ON (\w+)`)
	files := 0
	err := fs.WalkDir(migrations, "migrations", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "00001_") {
			return err
		}
		files++
		text, err := migrations.ReadFile(path)
		if err != nil {
			return err
		}
		clear(made)
		for statement := range strings.SplitSeq(comment.ReplaceAllString(string(text), ""), ";") {
			for _, m := range table.FindAllStringSubmatch(statement, -1) {
				made[m[1]] = true
			}
			if found := forbidden.FindString(statement); found != "" && !dropped.MatchString(statement) {
				t.Errorf("%s: %s is not an addition: %s", path, found, statement)
			}
			if column.MatchString(statement) && demanding.MatchString(statement) && !defaulted.MatchString(statement) {
				t.Errorf("%s: the previous version does not fill the column: %s", path, statement)
			}
			if m := unique.FindStringSubmatch(statement); m != nil && !made[m[1]] {
				t.Errorf("%s: the previous version does not know the constraint: %s", path, statement)
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("checked %d migrations, %v", files, err)
	}
}
