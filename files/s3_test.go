package files

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/testservers"
)

func newS3(t *testing.T) (*testservers.S3, *S3) {
	t.Helper()
	server := testservers.NewS3(t)
	blobs, err := Open(t.Context(), t.TempDir(), server.URL("some/where"))
	if err != nil {
		t.Fatal(err)
	}
	return server, blobs.(*S3)
}

func TestS3(t *testing.T) {
	server, blobs := newS3(t)
	if err := os.WriteFile(filepath.Join(server.Objects(), "another"), []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	testBlobs(t, blobs)
	if _, err := os.Stat(filepath.Join(server.Objects(), "some", "where", "aa1")); err != nil {
		t.Error(err)
	}
}

// While the store is down every call fails with an error; nothing is left behind, and once it is back everything works.
func TestS3Unavailable(t *testing.T) {
	server, blobs := newS3(t)
	ctx := t.Context()
	g := newIngester(t)
	old := strings.Repeat("0123456789", 1_000_000)
	if err := blobs.Put(ctx, "old", strings.NewReader(old), int64(len(old))); err != nil {
		t.Fatal(err)
	}
	begun := func() Blob {
		b, err := blobs.Open(ctx, "old")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, b, 1000); err != nil {
			t.Fatal(err)
		}
		return b
	}
	half, slow := begun(), begun()
	defer half.Close()
	defer slow.Close()

	// In the middle of a put.
	sent := 0
	r := readerFunc(func(p []byte) (int, error) {
		if sent += len(p); sent > 5<<20 {
			server.Kill()
			sent = -1 << 40
		}
		return len(p), nil
	})
	if err := blobs.Put(ctx, "new", r, 100<<20); !errors.Is(err, ErrUnavailable) {
		t.Errorf("put: got %v, want ErrUnavailable", err)
	}
	in := receive(t, g, "x", []byte("waiting"))
	if err := in.Keep(ctx, blobs, "kept"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("keep: got %v, want ErrUnavailable", err)
	}
	if _, err := blobs.Open(ctx, "old"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("open: got %v, want ErrUnavailable", err)
	}
	if _, err := io.Copy(io.Discard, half); !errors.Is(err, ErrUnavailable) {
		t.Errorf("read: got %v, want ErrUnavailable", err)
	}
	if err := blobs.Delete(ctx, "old"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("delete: got %v, want ErrUnavailable", err)
	}
	for _, err := range blobs.List(ctx) {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("list: got %v, want ErrUnavailable", err)
		}
	}
	if err := blobs.Ready(ctx); !errors.Is(err, ErrUnavailable) {
		t.Errorf("ready: got %v, want ErrUnavailable", err)
	}

	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if err := blobs.Ready(ctx); err != nil {
		t.Error(err)
	}
	if err := in.Keep(ctx, blobs, "kept"); err != nil {
		t.Error(err)
	}
	if got := names(t, blobs); got != "kept:7 old:10000000" {
		t.Errorf("the store has %s, want kept:7 old:10000000", got)
	}
	if rest, err := io.ReadAll(half); err != nil || !strings.HasSuffix(old, string(rest)) || len(rest) == 0 {
		t.Errorf("reader got %d more bytes, %v", len(rest), err)
	}
	// A slow reader does not notice.
	if rest, err := io.ReadAll(slow); err != nil || string(rest) != old[1000:] {
		t.Errorf("slow reader got %d more bytes, %v", len(rest), err)
	}
	if got := read(t, blobs, "kept"); got != "waiting" {
		t.Errorf("got %q, want \"waiting\"", got)
	}
	noLeftovers(t, g)
}

// A store that does not answer delays callers no longer than they are willing to wait.
func TestS3Silent(t *testing.T) {
	server, blobs := newS3(t)
	server.Freeze()
	defer server.Thaw()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := blobs.Put(ctx, "new", strings.NewReader("x"), 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("put: got %v, want context.DeadlineExceeded", err)
	}
}

// Wrong settings are not reported as a missing file.
func TestS3Refuses(t *testing.T) {
	server, _ := newS3(t)
	ctx := t.Context()
	for name, place := range map[string]string{
		"no bucket":  strings.Replace(server.URL(""), testservers.S3Bucket, "nothing", 1),
		"wrong keys": server.URL(""),
	} {
		if name == "wrong keys" {
			t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
		}
		blobs, err := Open(ctx, t.TempDir(), place)
		if err != nil {
			t.Fatal(err)
		}
		if err := blobs.Put(ctx, "new", strings.NewReader("x"), 1); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: put: got %v, want ErrUnavailable", name, err)
		}
		if _, err := blobs.Open(ctx, "old"); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: open: %v", name, err)
		}
		if err := blobs.Ready(ctx); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: ready: got %v, want ErrUnavailable", name, err)
		}
	}
}

func TestOpenRefusesInvalidPlaces(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	for _, place := range []string{"/var/files", "s3://", "s3:///x", "http://localhost/x", "s3://b?endpiont=x", "s3://key:secret@b",
		"s3://b?endpoint=ftp://x", "s3://b?endpoint=http://x/path", "s3://b?endpoint=http://"} {
		if _, err := Open(t.Context(), t.TempDir(), place); err == nil {
			t.Errorf("Open accepted %s", place)
		}
	}
	for _, place := range []string{"s3://b", "s3://b/p/q/?region=eu-central-1", "s3://b?endpoint=localhost:9000", "s3://b?endpoint=http%3A%2F%2Flocalhost%3A9000"} {
		if _, err := Open(t.Context(), t.TempDir(), place); err != nil {
			t.Errorf("%s: %v", place, err)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	if _, err := Open(t.Context(), t.TempDir(), "s3://b?endpoint=localhost:9000"); err == nil {
		t.Error("Open without keys: got no error")
	}
}
