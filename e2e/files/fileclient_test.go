package files

import (
	"os"
	"path/filepath"
	"testing"
)

// readBlob reads the stored bytes with a name.
func readBlob(t *testing.T, dataDir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dataDir, "files", name[:2], name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
