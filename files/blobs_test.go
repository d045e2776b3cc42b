package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// testBlobs is the test suite for all implementations of Blobs.
func testBlobs(t *testing.T, blobs Blobs) {
	ctx := t.Context()
	put := func(name, text string) {
		t.Helper()
		if err := blobs.Put(ctx, name, strings.NewReader(text), int64(len(text))); err != nil {
			t.Fatal(err)
		}
	}
	if err := blobs.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if got := names(t, blobs); got != "" {
		t.Fatalf("a new store has %s, want none", got)
	}

	t.Run("Put and read", func(t *testing.T) {
		put("aa1", "one")
		put("aa1", "another one")
		if got := read(t, blobs, "aa1"); got != "another one" {
			t.Errorf("got %q, want \"another one\"", got)
		}
		put("empty", "")
		if got := read(t, blobs, "empty"); got != "" {
			t.Errorf("got %q, want \"\"", got)
		}
	})
	t.Run("a short reader changes nothing", func(t *testing.T) {
		if err := blobs.Put(ctx, "aa1", strings.NewReader("short"), 10); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v, want io.ErrUnexpectedEOF", err)
		}
		if got := read(t, blobs, "aa1"); got != "another one" {
			t.Errorf("got %q, want \"another one\"", got)
		}
	})
	t.Run("a failing reader changes nothing", func(t *testing.T) {
		broken := errors.New("broken")
		r := io.MultiReader(strings.NewReader("short"), readerFunc(func([]byte) (int, error) { return 0, broken }))
		if err := blobs.Put(ctx, "aa1", r, 10); !errors.Is(err, broken) || errors.Is(err, ErrUnavailable) {
			t.Errorf("Put with a failing reader: got %v, want %v", err, broken)
		}
		if got := read(t, blobs, "aa1"); got != "another one" {
			t.Errorf("got %q, want \"another one\"", got)
		}
	})
	t.Run("invalid names are refused", func(t *testing.T) {
		for _, name := range []string{"", "a", "..", "../x", "a/b", `a\b`, "aa.jpg", "aa.preview.preview", ".preview", "aä", "aa\x00", strings.Repeat("a", 129)} {
			if err := blobs.Put(ctx, name, strings.NewReader("x"), 1); err == nil {
				t.Errorf("Put accepted the name %q", name)
			}
			if _, err := blobs.Open(ctx, name); err == nil {
				t.Errorf("Open accepted the name %q", name)
			}
			if err := blobs.Delete(ctx, name); err == nil {
				t.Errorf("Delete accepted the name %q", name)
			}
		}
	})
	t.Run("an unknown name is not found", func(t *testing.T) {
		if _, err := blobs.Open(ctx, "nothing"); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		if err := blobs.Delete(ctx, "nothing"); err != nil {
			t.Error(err)
		}
	})
	t.Run("List is complete and in order", func(t *testing.T) {
		put("ab.preview", "small")
		put("ab", "large")
		put("ab-", "x")
		put("Zz", "x")
		if got := names(t, blobs); got != "Zz:1 aa1:11 ab:5 ab-:1 ab.preview:5 empty:0" {
			t.Errorf("got %s, want Zz:1 aa1:11 ab:5 ab-:1 ab.preview:5 empty:0", got)
		}
		for info := range blobs.List(ctx) {
			if age := time.Since(info.ModTime); age < -time.Minute || age > time.Hour {
				t.Errorf("age of %s = %s", info.Name, age)
			}
			break // ending early does no harm
		}
	})
	t.Run("a deleted blob is gone", func(t *testing.T) {
		if err := blobs.Delete(ctx, "ab"); err != nil {
			t.Fatal(err)
		}
		if _, err := blobs.Open(ctx, "ab"); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		if got := read(t, blobs, "ab.preview"); got != "small" {
			t.Errorf("neighbour = %q, want \"small\"", got)
		}
	})
	t.Run("net/http serves ranges", func(t *testing.T) {
		whole := strings.Repeat("0123456789", 100_000)
		put("ranges", whole)
		for _, tt := range []struct {
			asked  string
			status int
			want   string
		}{
			{"", 200, whole},
			{"bytes=0-9", 206, whole[:10]},
			{"bytes=999995-", 206, "56789"},
			{"bytes=-3", 206, "789"},
			{"bytes=500003-500005", 206, "345"},
			{"bytes=1000000-", 416, ""},
		} {
			b, err := blobs.Open(ctx, "ranges")
			if err != nil {
				t.Fatal(err)
			}
			if b.Size() != int64(len(whole)) {
				t.Errorf("size = %d", b.Size())
			}
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			if tt.asked != "" {
				r.Header.Set("Range", tt.asked)
			}
			http.ServeContent(w, r, "", time.Time{}, b)
			if w.Code != tt.status || tt.status != 416 && w.Body.String() != tt.want {
				t.Errorf("%s: got %d with %d bytes", tt.asked, w.Code, w.Body.Len())
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("Seek", func(t *testing.T) {
		put("seek", "0123456789")
		b, err := blobs.Open(ctx, "seek")
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for _, tt := range []struct {
			offset int64
			whence int
			at     int64
			next   string
		}{{7, io.SeekStart, 7, "78"}, {-5, io.SeekCurrent, 4, "45"}, {-1, io.SeekEnd, 9, "9"}, {0, io.SeekStart, 0, "01"}, {5, io.SeekEnd, 15, ""}} {
			at, err := b.Seek(tt.offset, tt.whence)
			if err != nil || at != tt.at {
				t.Errorf("Seek(%d, %d): got %d, %v, want %d", tt.offset, tt.whence, at, err, tt.at)
			}
			two := make([]byte, 2)
			n, _ := io.ReadFull(b, two)
			if string(two[:n]) != tt.next {
				t.Errorf("bytes at %d: got %q, want %q", at, two[:n], tt.next)
			}
		}
		if _, err := b.Seek(-1, io.SeekStart); err == nil {
			t.Error("Seek before the start: got no error")
		}
	})
	t.Run("a reader of a replaced blob continues or fails", func(t *testing.T) {
		old := strings.Repeat("old ", 1_000_000)
		put("replaced", old)
		b, err := blobs.Open(ctx, "replaced")
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		put("replaced", strings.Repeat("new ", 1_000_000))
		got, err := io.ReadAll(b)
		if err == nil && string(got) != old {
			t.Errorf("read a mixture of two versions, %d bytes", len(got))
		}
	})
	t.Run("a cancelled Put stores nothing", func(t *testing.T) {
		cancelled, cancel := context.WithCancel(ctx)
		r := readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
		if err := blobs.Put(cancelled, "cancelled", r, 1<<30); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if _, err := blobs.Open(ctx, "cancelled"); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	})
	t.Run("an upload is kept", func(t *testing.T) {
		g := newIngester(t)
		in := receive(t, g, "x.txt", []byte("text"))
		if err := in.Keep(ctx, blobs, "kept"); err != nil {
			t.Fatal(err)
		}
		if err := in.Discard(); err != nil {
			t.Error(err)
		}
		if got := read(t, blobs, "kept"); got != "text" {
			t.Errorf("got %q, want \"text\"", got)
		}
		picture := receive(t, g, "x.png", pngOf(t, 900, 600))
		if err := picture.Keep(ctx, blobs, "picture"); err != nil {
			t.Fatal(err)
		}
		if got := http.DetectContentType([]byte(read(t, blobs, "picture.preview"))); got != picture.PreviewType {
			t.Errorf("preview = %s, want %s", got, picture.PreviewType)
		}
		if err := errors.Join(picture.Discard(), picture.Discard()); err != nil {
			t.Error(err)
		}
		noLeftovers(t, g)
	})
}

func names(t *testing.T, blobs Blobs) string {
	t.Helper()
	var all []string
	for info, err := range blobs.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s:%d", info.Name, info.Size))
	}
	return strings.Join(all, " ")
}

func read(t *testing.T, blobs Blobs, name string) string {
	t.Helper()
	b, err := blobs.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	return got.String()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
