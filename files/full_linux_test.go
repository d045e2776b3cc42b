package files

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// On a full disk uploads are refused with the right error, nothing partial is left, and they work again once there is
// space.
func TestDiskFull(t *testing.T) {
	dataDir := t.TempDir()
	if err := unix.Mount("tmpfs", dataDir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dataDir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	blobs, err := Open(t.Context(), dataDir, "")
	if err != nil {
		t.Fatal(err)
	}
	g := newIngesterIn(t, dataDir)
	small := receive(t, g, "small", []byte("small"))
	if err := small.Keep(t.Context(), blobs, "small"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Receive(t.Context(), io.LimitReader(zeros{}, 2<<20), "x", math.MaxInt64-1); !errors.Is(err, ErrFull) {
		t.Errorf("receive: got %v, want ErrFull", err)
	}
	if err := blobs.Put(t.Context(), "large", zeros{}, 2<<20); !errors.Is(err, ErrFull) {
		t.Errorf("put: got %v, want ErrFull", err)
	}
	noLeftovers(t, g)
	if got := names(t, blobs); got != "small:5" {
		t.Errorf("the folder has %s, want small:5", got)
	}

	filler := filepath.Join(dataDir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := blobs.Ready(t.Context()); !errors.Is(err, ErrFull) {
		t.Errorf("ready: got %v, want ErrFull", err)
	}
	// The same holds for a preview that does not fit.
	if _, err := g.Receive(t.Context(), bytes.NewReader(pngOf(t, 900, 600)), "x", math.MaxInt64-1); !errors.Is(err, ErrFull) {
		t.Errorf("receive a picture: got %v, want ErrFull", err)
	}
	if got := read(t, blobs, "small"); got != "small" {
		t.Errorf("got %q, want \"small\"", got)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := blobs.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	again := receive(t, g, "again", []byte("again"))
	if err := again.Keep(t.Context(), blobs, "again"); err != nil {
		t.Error(err)
	}
	noLeftovers(t, g)
}
