package files

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// pngHeader returns a PNG up to its data.
func pngHeader(w, h int, depth, kind byte) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(w))
	b = binary.BigEndian.AppendUint32(b, uint32(h))
	return pngSignature + string(pngChunk("IHDR", append(b, depth, kind, 0, 0, 0)))
}

// zeroes returns n zeros, deflated to a thousandth.
func zeroes(t testing.TB, n int64) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := io.CopyN(z, zeros{}, n); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// allocated returns the bytes that f allocates in all.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Pictures that are small on the wire and huge when decoded are measured and never decoded. Not parallel: it measures
// memory.
func TestHugePicturesAreNotDecoded(t *testing.T) {
	g := newIngester(t)
	bomb := pngHeader(30_000, 30_000, 8, 2)
	frame, err := jpegOf(image.NewGray(image.Rect(0, 0, 8, 8)))
	if err != nil {
		t.Fatal(err)
	}
	sof := bytes.Index(frame, []byte{0xff, 0xc0})
	copy(frame[sof+5:], "\xff\xff\xff\xff") // 65,535 × 65,535
	for name, u := range map[string]struct {
		data          string
		width, height int
	}{
		"a PNG header":                     {bomb, 30_000, 30_000},
		"a PNG of deflated zeros":          {bomb + string(pngChunk("IDAT", zeroes(t, 50<<20))) + string(pngChunk("IEND", nil)), 30_000, 30_000},
		"a JPEG":                           {string(frame), 65_535, 65_535},
		"a GIF":                            {"GIF89a\xff\xff\xff\xff\x00\x00\x00\x2c\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x01\x00\x00;", 65_535, 65_535},
		"a WebP":                           {riff(webpFeatures(0, 1<<24, 1<<24)), 0, 0},
		"a small WebP with a huge picture": {riff(webpFeatures(0, 10, 10), chunk("VP8L", "\x2f\xff\xff\xff\x0f")), 0, 0},
		"a lossless WebP":                  {riff(chunk("VP8L", "\x2f\xff\xff\xff\x0f")), 16_384, 16_384},
	} {
		var in *Incoming
		used := allocated(func() { in = receive(t, g, name, []byte(u.data)) })
		if in.Preview || u.width > 0 && (in.Width != u.width || in.Height != u.height) {
			t.Errorf("%s: got %+v, want no preview and %d × %d", name, in, u.width, u.height)
		}
		if used > 8<<20 {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
	}
}

// A picture within the pixel limit may have any amount of data after it; the decoder stops at the last pixel.
func TestDecompressionBombsAreBounded(t *testing.T) {
	g := newIngester(t)
	data := pngHeader(100, 100, 8, 0) + string(pngChunk("IDAT", zeroes(t, 50<<20))) + string(pngChunk("IEND", nil))
	text := pngHeader(100, 100, 8, 0) + string(pngChunk("iCCP", append([]byte("x\x00\x00"), zeroes(t, 50<<20)...))) +
		string(pngChunk("IDAT", zeroes(t, 101*100))) + string(pngChunk("IEND", nil))
	for name, data := range map[string]string{"pixels": data, "a profile": text} {
		var in *Incoming
		used := allocated(func() { in = receive(t, g, name, []byte(data)) })
		if used > 8<<20 {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
		t.Logf("%s: %d bytes sent, %d allocated, preview: %t", name, len(data), used, in.Preview)
	}
}

// Only the first frame of an animation is decoded, however many there are.
func TestOnlyTheFirstFrameIsDecoded(t *testing.T) {
	g := newIngester(t)
	var b bytes.Buffer
	first := image.NewPaletted(image.Rect(0, 0, 2000, 2000), color.Palette{color.Black, color.White})
	if err := gif.Encode(&b, first, nil); err != nil {
		t.Fatal(err)
	}
	one := b.String()[:b.Len()-1]
	frame := one[strings.Index(one, "\x2c\x00\x00\x00\x00"):]
	var in *Incoming
	used := allocated(func() { in = receive(t, g, "x.gif", []byte(one+strings.Repeat(frame, 200)+";")) })
	if !in.Preview || used > 10*2000*2000 {
		t.Errorf("preview: %t, %d bytes allocated", in.Preview, used)
	}
}

// Decoders that would run for hours are stopped.
func TestSlowPicturesAreAbandoned(t *testing.T) {
	t.Parallel()
	late := &untilReader{strings.NewReader(string(pngOf(t, 300, 200))), time.Now().Add(-time.Second)}
	if _, err := png.Decode(late); err == nil {
		t.Error("decoded after the timeout")
	}
}

// A panic in a decoder only loses the preview.
func TestDecoderPanics(t *testing.T) {
	g := newIngester(t)
	if err := g.guard(func() error { panic("index out of range") }); err == nil {
		t.Error("got no error, want one for the panic")
	}
}

func jpegOf(m image.Image) ([]byte, error) {
	var b bytes.Buffer
	err := jpeg.Encode(&b, m, nil)
	return b.Bytes(), err
}

const script = "<script>alert(1)</script>"

// The type follows from the bytes, whatever the name says. Bytes that could be taken for another type are cut off.
func TestTypes(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	gifBytes := gifWith(t, quartersOf(9, 6))
	for _, tt := range []struct{ name, data, want string }{
		{"claims.png", "<!DOCTYPE html><html>" + script, "text/html"},
		{"claims.jpg", "  \n<html>" + script, "text/html"},
		{"x.svg", `<svg xmlns="http://www.w3.org/2000/svg">` + script + "</svg>", "image/svg+xml"},
		{"x.png", `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "image/svg+xml"},
		{"x.txt", "plain words", "text/plain; charset=utf-8"},
		{"x.txt", "größer", "text/plain; charset=utf-8"},
		{"x.html", "words, then " + script, "text/plain; charset=utf-8"},
		{"x", "\xff\xfeh\x00i\x00", "text/plain; charset=utf-16le"},
		{"empty.png", "", "text/plain; charset=utf-8"},
		{"x.jpg", "\x00\x01\x02\x03\x80\x81 unknown \x00", "application/octet-stream"},
		{"x.txt", "%PDF-1.7\n", "application/pdf"},
		{"x.zip", "PK\x03\x04\x14\x00\x00\x00", "application/zip"},
		{"x.png", "MZ" + strings.Repeat("\x00", 100), "application/vnd.microsoft.portable-executable"},
		{"x.mp3", "\xff\xfb\x90\x44" + strings.Repeat("\x00", 500), "audio/mpeg"},
		{"x.ogg", "OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00", "application/ogg"},
		{"gifar.gif", gifBytes + "PK\x03\x04", typeGIF},
		{"html.gif", "GIF89a/*<html>" + script + "*/", unknownType},
		{"pdf.jpg", plainJPEG(t, quartersOf(9, 6))[:2] + segment(0xfe, "%PDF-1.4 "+script) + plainJPEG(t, quartersOf(9, 6))[2:] + "%PDF-1.4 " + script, typeJPEG},
		{"html.png", pngWith(t, quartersOf(9, 6), 1) + "<html>" + script, typePNG},
	} {
		in := receive(t, g, tt.name, []byte(tt.data))
		got := string(bytesOf(t, in))
		if in.Type != tt.want || in.Name != tt.name {
			t.Errorf("%s, %.20q is %s", in.Name, tt.data, in.Type)
		}
		if pictures[in.Type].decode != nil && (strings.Contains(got, "script") || strings.Contains(got, "PK\x03\x04") || !in.Preview) {
			t.Errorf("%s still contains the rest: %q", in.Name, got)
		}
	}
}

func TestUploadNames(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	for _, tt := range []struct{ name, data, want string }{
		{"../../a.png", "text", "a.png"},
		{"", "text", "file.txt"},
		{"\u202e\u200b", string(pngOf(t, 3, 2)), "file.png"},
		{"/", "\x00\x01\x80", "file"},
	} {
		if in := receive(t, g, tt.name, []byte(tt.data)); in.Name != tt.want {
			t.Errorf("%q became %q", tt.name, in.Name)
		}
	}
}

func TestPreviews(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	clear := image.NewNRGBA(image.Rect(0, 0, 1000, 100))
	clear.Set(999, 99, color.NRGBA{255, 0, 0, 128})
	var transparent bytes.Buffer
	if err := png.Encode(&transparent, clear); err != nil {
		t.Fatal(err)
	}
	wide, err := jpegOf(gradient(5000, 3))
	if err != nil {
		t.Fatal(err)
	}
	deep := image.NewNRGBA64(image.Rect(0, 0, 700, 700))
	for i := range deep.Pix {
		deep.Pix[i] = 255
	}
	var deepBytes bytes.Buffer
	if err := png.Encode(&deepBytes, deep); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name                     string
		data                     []byte
		width, height, pw, ph    int
		mediaType                string
		topLeft                  color.NRGBA
		bottomRight, whereabouts uint8
	}{
		{"smaller", pngOf(t, 300, 200), 300, 200, 300, 200, typeJPEG, color.NRGBA{0, 0, 100, 255}, 255, 12},
		{"large", pngOf(t, 1921, 1080), 1921, 1080, 640, 359, typeJPEG, color.NRGBA{0, 0, 100, 255}, 255, 12},
		{"tall", pngOf(t, 100, 6400), 100, 6400, 10, 640, typeJPEG, color.NRGBA{12, 0, 100, 255}, 255, 30},
		{"a line", wide, 5000, 3, 640, 1, typeJPEG, color.NRGBA{0, 85, 100, 255}, 255, 40},
		{"transparent", transparent.Bytes(), 1000, 100, 640, 64, typePNG, color.NRGBA{}, 255, 0},
		{"16 bits", deepBytes.Bytes(), 700, 700, 640, 640, typeJPEG, color.NRGBA{255, 255, 255, 255}, 255, 2},
	} {
		in := receive(t, g, tt.name, tt.data)
		if in.Width != tt.width || in.Height != tt.height || in.PreviewType != tt.mediaType {
			t.Errorf("%s: got %+v, want %d × %d and a preview of type %q", tt.name, in, tt.width, tt.height, tt.mediaType)
		}
		m := previewOf(t, in)
		if b := m.Bounds(); b.Dx() != tt.pw || b.Dy() != tt.ph {
			t.Errorf("%s: preview = %s", tt.name, b)
		}
		got := color.NRGBAModel.Convert(m.At(0, 0)).(color.NRGBA)
		near := func(a, b uint8) bool { return max(a, b)-min(a, b) <= tt.whereabouts }
		if !near(got.R, tt.topLeft.R) || !near(got.G, tt.topLeft.G) || !near(got.B, tt.topLeft.B) || !near(got.A, tt.topLeft.A) {
			t.Errorf("%s: first pixel = %v", tt.name, got)
		}
		if tt.mediaType == typePNG {
			continue
		}
		last := color.NRGBAModel.Convert(m.At(tt.pw-1, tt.ph-1)).(color.NRGBA)
		if !near(last.R, tt.bottomRight) {
			t.Errorf("%s: last pixel = %v", tt.name, last)
		}
	}
}

// A preview has the colours of its picture.
func TestPreviewsKeepTheColourProfile(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	whole := plainJPEG(t, gradient(90, 60))
	for space, kept := range map[string]bool{"RGB ": true, "CMYK": false} {
		profile := segment(markerAPP2, iccAlone+strings.Repeat("p", 16)+space+"rest")
		in := receive(t, g, "x.jpg", []byte(whole[:20]+profile+whole[20:]))
		previewOf(t, in)
		preview, err := os.ReadFile(in.preview)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(preview, []byte(profile)) != kept {
			t.Errorf("%s: preview has the profile = %t", space, !kept)
		}
	}
}

// A cancelled preview is not waited for.
func TestReceiveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	for range cap(g.cores) { // all cores are busy
		g.cores <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(bytes.NewReader(pngOf(t, 9, 6)), readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF }))
	if _, err := g.Receive(ctx, r, "x", 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	noLeftovers(t, g)
}
