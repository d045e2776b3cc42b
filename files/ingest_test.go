package files

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
)

func newIngesterIn(t testing.TB, dataDir string) *Ingester {
	t.Helper()
	g, err := NewIngester(dataDir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func newIngester(t testing.TB) *Ingester { return newIngesterIn(t, t.TempDir()) }

func receive(t testing.TB, g *Ingester, name string, data []byte) *Incoming {
	t.Helper()
	in, err := g.Receive(t.Context(), bytes.NewReader(data), name, math.MaxInt64-1)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// bytesOf reads what is to be stored.
func bytesOf(t testing.TB, in *Incoming) []byte {
	t.Helper()
	data, err := os.ReadFile(in.path)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(data)) != in.Size || sha256.Sum256(data) != in.Sum {
		t.Errorf("%s: size or checksum does not match the content", in.Name)
	}
	return data
}

// noLeftovers checks that there are no temporary files.
func noLeftovers(t testing.TB, g *Ingester) {
	t.Helper()
	if left := filesIn(t, g.staging.parent); len(left) != 0 {
		t.Errorf("left behind: %s, want none", left)
	}
}

// gradient returns a picture without sharp edges, whose corners differ.
func gradient(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetRGBA(x, y, color.RGBA{uint8(x * 255 / w), uint8(y * 255 / h), 100, 255})
		}
	}
	return m
}

func pngOf(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, gradient(w, h)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReceiveStopsAtTheLimit(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	if in, err := g.Receive(t.Context(), strings.NewReader("12345"), "x", 5); err != nil || in.Size != 5 || in.Discard() != nil {
		t.Errorf("at the limit: %+v, %v", in, err)
	}
	read := 0
	endless := readerFunc(func(p []byte) (int, error) { read += len(p); return len(p), nil })
	if _, err := g.Receive(t.Context(), endless, "x", 1_000_000); !errors.Is(err, ErrTooLarge) {
		t.Errorf("past the limit: got %v, want ErrTooLarge", err)
	}
	if read > 1_000_001 {
		t.Errorf("%d bytes read", read)
	}
	noLeftovers(t, g)
}

func TestReceiveLeavesNothingBehindAfterAnError(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	broken := errors.New("connection reset")
	n := 0
	r := readerFunc(func(p []byte) (int, error) {
		if n += len(p); n > 100_000 {
			return 0, broken
		}
		return len(p), nil
	})
	if _, err := g.Receive(t.Context(), r, "x", math.MaxInt64-1); !errors.Is(err, broken) {
		t.Errorf("got %v, want broken", err)
	}
	noLeftovers(t, g)
}
