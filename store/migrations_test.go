package store

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// Nodes of the version before run beside those that have migrated: a migration may only add, and what it adds must
// not be missed by who does not know of it.
func TestMigrationsOnlyAdd(t *testing.T) {
	comment := regexp.MustCompile(`--[^\n]*`)
	forbidden := regexp.MustCompile(`(?i)\b(DROP|RENAME|TRUNCATE|SET NOT NULL|CREATE TRIGGER|ADD CONSTRAINT|ALTER COLUMN \S+ TYPE|ALTER COLUMN \S+ SET DATA)\b`)
	column := regexp.MustCompile(`(?i)\bADD COLUMN\b`)
	demanding := regexp.MustCompile(`(?i)\bNOT NULL\b`)
	defaulted := regexp.MustCompile(`(?i)\bDEFAULT\b`)
	made := map[string]bool{} // tables of the same file may be anything
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
			if found := forbidden.FindString(statement); found != "" {
				t.Errorf("%s: %s does not only add: %s", path, found, statement)
			}
			if column.MatchString(statement) && demanding.MatchString(statement) && !defaulted.MatchString(statement) {
				t.Errorf("%s: a column that the version before does not fill: %s", path, statement)
			}
			if m := unique.FindStringSubmatch(statement); m != nil && !made[m[1]] {
				t.Errorf("%s: a constraint that the version before does not know: %s", path, statement)
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("%d migrations were looked at, %v", files, err)
	}
}
