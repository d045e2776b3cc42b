package files

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func newFolder(t testing.TB) *Folder {
	t.Helper()
	blobs, err := Open(t.Context(), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return blobs.(*Folder)
}

func TestFolder(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	testBlobs(t, f)
	err := filepath.WalkDir(f.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is accessible to others: %s", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if left := filesIn(t, f.staging.parent); len(left) != 0 {
		t.Errorf("left behind: %s, want none", left)
	}
}

// filesIn returns the files in dir and its subfolders.
func filesIn(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return found
}

// The next start removes what a crash left behind, and not what another process is receiving.
func TestLeftoversOfACrashAreRemoved(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	crashed := filepath.Join(dataDir, "files", "incoming", "crashed")
	if err := os.MkdirAll(crashed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(crashed, "part"), []byte("half of a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	alive := newIngesterIn(t, dataDir) // removes it
	if _, err := os.Stat(crashed); !os.IsNotExist(err) {
		t.Errorf("temporary file of a crash still exists: %v", err)
	}
	in := receive(t, alive, "x", []byte("x"))
	newIngesterIn(t, dataDir)
	if _, err := os.Stat(in.path); err != nil {
		t.Errorf("upload of another process deleted: %v", err)
	}
	if err := in.Discard(); err != nil {
		t.Error(err)
	}
}

// Removing the folder for temporary files does not stop uploads.
func TestTemporaryFolderIsRecreated(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	for range 2 {
		if err := receive(t, g, "x", []byte("x")).Discard(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(g.staging.parent); err != nil {
			t.Fatal(err)
		}
	}
}
