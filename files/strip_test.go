package files

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/gif"
	_ "image/jpeg"
	_ "image/png"
	"os"
	"reflect"
	"strings"
	"testing"

	_ "golang.org/x/image/webp"
)

func decode(t testing.TB, data string) image.Image {
	t.Helper()
	m, _, err := image.Decode(strings.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// previewOf returns the preview of an upload.
func previewOf(t testing.TB, in *Incoming) image.Image {
	t.Helper()
	if !in.Preview {
		t.Fatalf("%s has no preview", in.Name)
	}
	data, err := os.ReadFile(in.preview)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(data)) != in.previewSize {
		t.Errorf("the preview has %d bytes, want %d", len(data), in.previewSize)
	}
	return decode(t, string(data))
}

// The metadata is gone, every pixel is the same, and the picture is shown as before.
func TestPicturesLoseOnlyTheirMetadata(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	const w, h = 90, 60
	type upload struct {
		name, mediaType, data string
		orientation           int
	}
	uploads := []upload{
		{"gif", typeGIF, gifWith(t, quartersOf(w, h)), 1},
	}
	for o := 1; o <= 8; o++ {
		uploads = append(uploads,
			upload{"jpeg", typeJPEG, jpegWith(t, quartersOf(w, h), binary.BigEndian, o), o},
			upload{"jpeg, little endian", typeJPEG, jpegWith(t, quartersOf(w, h), binary.LittleEndian, o), o},
			upload{"png", typePNG, pngWith(t, quartersOf(w, h), o), o},
			upload{"webp", typeWebP, webpWith(w, h, o), o})
	}
	for _, u := range uploads {
		t.Run(fmt.Sprint(u.name, u.orientation), func(t *testing.T) {
			in := receive(t, g, "holiday", []byte(u.data))
			got := string(bytesOf(t, in))
			if in.Type != u.mediaType {
				t.Errorf("type = %s", in.Type)
			}
			if !strings.Contains(u.data, secret) {
				t.Fatal("test data without the secret")
			}
			if i := strings.Index(got, secret[:8]); i >= 0 {
				t.Errorf("metadata left: %q", got[max(0, i-20):])
			}
			if a, b := decode(t, u.data), decode(t, got); !reflect.DeepEqual(a, b) {
				t.Error("picture differs from the upload")
			}
			wantW, wantH := w, h
			if u.orientation > 4 {
				wantW, wantH = h, w
			}
			if in.Width != wantW || in.Height != wantH {
				t.Errorf("the preview is %d × %d", in.Width, in.Height)
			}
			preview := previewOf(t, in)
			if b := preview.Bounds(); b.Dx() != wantW || b.Dy() != wantH {
				t.Errorf("preview = %s", b)
			}
			if got, want := cornersOf(preview), quarters.turned(u.orientation); got != want {
				t.Errorf("preview's corners = %s, want %s", got, want)
			}
			again := receive(t, g, "again", []byte(got))
			if !bytes.Equal(bytesOf(t, again), []byte(got)) {
				t.Error("cleaning twice changed the file again")
			}
			// The browser rotates what is served by the Exif data that is left.
			if again.Width != wantW || cornersOf(previewOf(t, again)) != quarters.turned(u.orientation) {
				t.Error("the orientation is lost")
			}
		})
	}
}

// A clean file is stored byte for byte.
func TestCleanPicturesAreUnchanged(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	for name, data := range map[string]string{
		"jpeg":          plainJPEG(t, quartersOf(30, 20)),
		"png":           string(pngOf(t, 30, 20)),
		"webp":          riff(losslessChunk(30, 20)),
		"webp features": riff(webpFeatures(0x20, 30, 20), chunk("ICCP", "odd"), losslessChunk(30, 20)),
		"bmp":           "BM" + strings.Repeat("\x00", 100),
		"text":          "text",
	} {
		in := receive(t, g, name, []byte(data))
		if got := string(bytesOf(t, in)); got != data {
			t.Errorf("%s: file of %d bytes changed, now %d", name, len(data), len(got))
		}
	}
}

func TestAnimationsAreKept(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	in := receive(t, g, "x.gif", []byte(gifWith(t, quartersOf(30, 20))))
	m, err := gif.DecodeAll(bytes.NewReader(bytesOf(t, in)))
	if err != nil || len(m.Image) != 2 || m.LoopCount != 3 || m.Delay[1] != 6 {
		t.Errorf("GIF = %+v, %v", m, err)
	}
	in = receive(t, g, "x.webp", []byte(animatedWebP(30, 20)))
	got := string(bytesOf(t, in))
	frame := three(0) + three(0) + three(29) + three(19) + three(100) + "\x00"
	want := riff(webpFeatures(0x02, 30, 20), chunk("ANIM", "\x00\x00\x00\x00\x00\x00"),
		chunk("ANMF", frame+losslessChunk(30, 20)), chunk("ANMF", frame+losslessChunk(30, 20)))
	if in.Type != typeWebP || got != want {
		t.Errorf("%s: got %q, want %q", in.Type, got, want)
	}
}

// A truncated picture keeps no metadata, has no preview, and is not an error.
func TestTruncatedPictures(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	for name, data := range map[string]string{
		"jpeg": jpegWith(t, gradient(20, 15), binary.BigEndian, 6),
		"png":  pngWith(t, gradient(20, 15), 6),
		"gif":  gifWith(t, gradient(20, 15)),
		"webp": webpWith(20, 15, 6),
	} {
		whole := receive(t, g, name, []byte(data))
		for n := range len(data) {
			in, err := g.Receive(t.Context(), strings.NewReader(data[:n]), name, 1<<20)
			if err != nil {
				t.Fatalf("%s of %d bytes: %v", name, n, err)
			}
			got := string(bytesOf(t, in))
			if strings.HasPrefix(in.Type, "image/") && strings.Contains(got, secret[:8]) {
				t.Fatalf("%s of %d bytes: type %s, metadata left", name, n, in.Type)
			}
			if int64(len(got)) > whole.Size+16 {
				t.Fatalf("%s of %d bytes: cleaned to %d bytes", name, n, len(got))
			}
			if err := in.Discard(); err != nil {
				t.Fatal(err)
			}
		}
		if err := whole.Discard(); err != nil {
			t.Error(err)
		}
	}
	noLeftovers(t, g)
}

// What cannot be cleaned is not treated as a picture.
func TestUnreadablePicturesAreNotTreatedAsPictures(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	for name, data := range map[string]string{
		"a JPEG segment without length": "\xff\xd8\xff\xe1\x00\x00" + secret,
		"an endless PNG chunk":          pngSignature + "\xff\xff\xff\xffIHDR" + secret,
		"a GIF of unknown blocks":       "GIF89a\x01\x00\x01\x00\x00\x00\x00\x99" + secret,
		"TIFF":                          "II*\x00" + secret,
		"a PNG of too many pieces":      pngSignature + strings.Repeat(string(pngChunk("tEXt", nil))+string(pngChunk("IDAT", nil)), maxPieces+1),
	} {
		in := receive(t, g, name, []byte(data))
		if in.Type != unknownType || in.Preview || in.Width != 0 {
			t.Errorf("%s: got %+v, want type %s without a preview", name, in, unknownType)
		}
		if got := string(bytesOf(t, in)); got != data {
			t.Errorf("%s: changed", name)
		}
	}
}
