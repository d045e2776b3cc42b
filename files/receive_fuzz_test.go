package files

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"tandem/panics"
)

// FuzzReceive gives an Ingester any input. Nothing may panic or be left behind, the description of the file must match
// its bytes, and cleaning a cleaned file again must change nothing.
func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		jpegWith(f, quartersOf(9, 6), binary.BigEndian, 6), plainJPEG(f, quartersOf(9, 6)),
		pngWith(f, quartersOf(9, 6), 6), string(pngOf(f, 9, 6)), gifWith(f, quartersOf(9, 6)),
		webpWith(9, 6, 6), animatedWebP(9, 6), riff(losslessChunk(9, 6)),
		videoWith("isom"), fragmented(), stillWith("avif"), stillWith("heic"),
		"<svg>", "text", "", "\xff\xd8\xff\xe1",
	} {
		f.Add([]byte(seed))
	}
	logged := &strings.Builder{}
	g, err := NewIngester(f.TempDir(), slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := panics.Total()
		in, err := g.Receive(context.Background(), bytes.NewReader(data), "x", 1<<20)
		if len(data) > 1<<20 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		got := bytesOf(t, in)
		if panics.Total() != before {
			t.Errorf("panic: %s", logged)
		}
		if in.Preview {
			preview, err := os.ReadFile(in.preview)
			if err != nil {
				t.Fatal(err)
			}
			m, _, err := image.Decode(bytes.NewReader(preview))
			if err != nil || m.Bounds().Dx() > maxPreview || m.Bounds().Dy() > maxPreview || in.Width == 0 || in.Height == 0 {
				t.Errorf("the preview of %d × %d: %v", in.Width, in.Height, err)
			}
		}
		if strippers[in.Type] != nil {
			again, err := g.Receive(context.Background(), bytes.NewReader(got), "x", 1<<21)
			if err != nil {
				t.Fatal(err)
			}
			if twice := bytesOf(t, again); again.Type == in.Type && !bytes.Equal(got, twice) {
				t.Errorf("%q cleaned to %q, then to %q", data, got, twice)
			} else if again.Type != in.Type {
				t.Errorf("type changed from %s to %s", in.Type, again.Type)
			}
			if err := again.Discard(); err != nil {
				t.Error(err)
			}
		} else if !slices.Equal(got, data) {
			t.Errorf("%s changed, want it untouched", in.Type)
		}
		if err := in.Discard(); err != nil {
			t.Error(err)
		}
		noLeftovers(t, g)
	})
}
