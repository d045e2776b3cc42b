package files

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

// secret is put wherever there can be metadata.
const secret = "52.5200N 13.4050E serial 0042"

// corners lists the corners of a picture as shown: top left, top right, bottom left, bottom right.
type corners [4]string

func (c corners) turned(orientation int) corners {
	const tl, tr, bl, br = 0, 1, 2, 3
	from := [9][4]int{
		1: {tl, tr, bl, br},
		2: {tr, tl, br, bl}, // mirrored
		3: {br, bl, tr, tl}, // upside down
		4: {bl, br, tl, tr},
		5: {tl, bl, tr, br},
		6: {bl, tl, br, tr}, // a quarter turn clockwise
		7: {br, tr, bl, tl},
		8: {tr, br, tl, bl}, // a quarter turn counterclockwise
	}[orientation]
	return corners{c[from[0]], c[from[1]], c[from[2]], c[from[3]]}
}

// quarters returns a picture with these corners.
var quarters = corners{"black", "red", "green", "yellow"}

func quartersOf(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{A: 255}
			if x >= w/2 {
				c.R = 255
			}
			if y >= h/2 {
				c.G = 255
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

func cornersOf(m image.Image) (c corners) {
	b := m.Bounds()
	for i := range c {
		x, y := b.Min.X+b.Dx()/4, b.Min.Y+b.Dy()/4
		if i%2 == 1 {
			x = b.Max.X - b.Dx()/4
		}
		if i >= 2 {
			y = b.Max.Y - b.Dy()/4
		}
		r, g, _, _ := m.At(x, y).RGBA()
		c[i] = map[[2]bool]string{{}: "black", {true}: "red", {false, true}: "green", {true, true}: "yellow"}[[2]bool{r > 0x8000, g > 0x8000}]
	}
	return c
}

// exifWith returns Exif data as cameras write it: the orientation, and a maker, a serial number and a GPS directory
// that all contain the secret.
func exifWith(order binary.ByteOrder, orientation int) []byte {
	type entry struct {
		tag, kind uint16
		count, v  uint32
	}
	var b bytes.Buffer
	w := func(v any) { _ = binary.Write(&b, order, v) }
	text := uint32(8 + 2 + 3*12 + 4)
	gps := text + uint32(len(secret)) + 1
	b.WriteString(map[bool]string{true: "II*\x00", false: "MM\x00*"}[order == binary.LittleEndian])
	w(uint32(8))
	w(uint16(3))
	w(entry{0x010f, 2, uint32(len(secret)) + 1, text}) // Make
	w(entry{tag: tagOrientation, kind: typeShort, count: 1})
	// A short is at the start of the value's four bytes.
	order.PutUint16(b.Bytes()[b.Len()-4:], uint16(orientation))
	w(entry{0x8825, typeLong, 1, gps}) // GPS directory
	w(uint32(0))
	b.WriteString(secret + "\x00")
	w(uint16(1))
	w(entry{0x001b, 7, uint32(len(secret)) + 1, text}) // GPSProcessingMethod
	w(uint32(0))
	return b.Bytes()
}

func segment(marker byte, data string) string {
	return string([]byte{0xff, marker}) + string(binary.BigEndian.AppendUint16(nil, uint16(2+len(data)))) + data
}

const xmp = "<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + secret + "</x:xmpmeta>"

// plainJPEG returns the output of Go's encoder, with a colour profile.
func plainJPEG(t testing.TB, m image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	s := b.String()
	return s[:2] + segment(markerAPP0, "JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00") + segment(markerAPP2, "ICC_PROFILE\x00\x01\x01profile") + s[2:]
}

// jpegWith returns plainJPEG with everything that a phone and its programs add.
func jpegWith(t testing.TB, m image.Image, order binary.ByteOrder, orientation int) string {
	t.Helper()
	s := plainJPEG(t, m)
	return s[:2] +
		segment(markerAPP0, "JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x03\x03"+(secret + secret)[:27]) +
		segment(markerAPP0, "JFXX\x00\x10"+secret) +
		segment(markerAPP1, exifPrefix+string(exifWith(order, orientation))) +
		segment(markerAPP1, "http://ns.adobe.com/xap/1.0/\x00"+xmp) +
		segment(markerAPP1, exifPrefix+string(exifWith(order, 1))) + // a second one has no effect
		segment(markerAPP2, "MPF\x00"+secret) +
		segment(0xed, "Photoshop 3.0\x00"+secret) +
		segment(0xe5, secret) +
		segment(0xfe, secret) + // a comment
		s[20:len(s)-2] +
		segment(0xfe, secret) +
		"\xff\xff\xff\xd9" + // with fill bytes
		secret + jpegTail
}

// jpegTail is what phones append: a second picture.
const jpegTail = "\xff\xd8\xff\xe1\x00\x23Exif\x00\x00" + secret + "\xff\xd9"

func pngWith(t testing.TB, m image.Image, orientation int) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	s := b.String()
	const header = 8 + 25
	return s[:header] +
		string(pngChunk("gAMA", []byte{0, 0, 0xb1, 0x8f})) +
		string(pngChunk("eXIf", exifWith(binary.BigEndian, orientation))) +
		string(pngChunk("tEXt", []byte("Comment\x00"+secret))) +
		string(pngChunk("zTXt", []byte("Comment\x00\x00"+secret))) +
		string(pngChunk("iTXt", []byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00"+xmp))) +
		string(pngChunk("tIME", []byte("\x07\xea\x01\x01"+secret[:3]))) +
		string(pngChunk("prVt", []byte(secret))) +
		s[header:] + secret
}

func gifWith(t testing.TB, m image.Image) string {
	t.Helper()
	paletted := image.NewPaletted(m.Bounds(), palette.Plan9)
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			paletted.Set(x, y, m.At(x, y))
		}
	}
	var b bytes.Buffer
	err := gif.EncodeAll(&b, &gif.GIF{Image: []*image.Paletted{paletted, paletted}, Delay: []int{5, 6}, LoopCount: 3})
	if err != nil {
		t.Fatal(err)
	}
	s := b.String()
	header := 13 + int(gifTable(s[10]))
	block := string([]byte{byte(len(secret))}) + secret + "\x00"
	return s[:header] + "\x21\xfe" + block + "\x21\xff\x0bXMP DataXMP" + block + "\x21\x01\x0c" + secret[:12] + block + s[header:] + secret
}

// bits writes numbers, lowest bit first.
type bits struct {
	b []byte
	n int
}

func (w *bits) write(v uint32, n int) {
	for i := range n {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
}

// losslessChunk returns the VP8L chunk of quartersOf(w, h). Each channel has two values, so each has a one-bit code.
func losslessChunk(w, h int) string {
	var b bits
	b.write(0x2f, 8)
	b.write(uint32(w-1), 14)
	b.write(uint32(h-1), 14)
	b.write(0, 1+3) // no alpha, version 0
	b.write(0, 1+1+1)
	code := func(values ...uint32) {
		b.write(1, 1)
		b.write(uint32(len(values)-1), 1)
		b.write(1, 1)
		for _, v := range values {
			b.write(v, 8)
		}
	}
	code(0, 255) // green
	code(0, 255) // red
	code(0)
	code(255)
	code(0)
	for y := range h {
		for x := range w {
			b.write(map[bool]uint32{true: 1}[y >= h/2], 1)
			b.write(map[bool]uint32{true: 1}[x >= w/2], 1)
		}
	}
	return chunk("VP8L", string(b.b))
}

func chunk(name, data string) string {
	s := name + string(binary.LittleEndian.AppendUint32(nil, uint32(len(data)))) + data
	if len(data)%2 == 1 {
		s += "\x00"
	}
	return s
}

func riff(chunks ...string) string { return chunk("RIFF", "WEBP"+strings.Join(chunks, "")) }

func three(n int) string { return string([]byte{byte(n), byte(n >> 8), byte(n >> 16)}) }

func webpFeatures(flags byte, w, h int) string {
	return chunk("VP8X", string([]byte{flags, 0, 0, 0})+three(w-1)+three(h-1))
}

func webpWith(w, h, orientation int) string {
	return riff(webpFeatures(webpHasExif|webpHasXMP|0x20, w, h), chunk("ICCP", "profile"), losslessChunk(w, h),
		chunk("EXIF", string(exifWith(binary.LittleEndian, orientation))), chunk("XMP ", xmp), chunk("PRVT", secret)) + secret
}

// animatedWebP has a custom chunk in its frame.
func animatedWebP(w, h int) string {
	frame := three(0) + three(0) + three(w-1) + three(h-1) + three(100) + "\x00"
	return riff(webpFeatures(webpHasXMP|0x02, w, h), chunk("ANIM", "\x00\x00\x00\x00\x00\x00"),
		chunk("ANMF", frame+losslessChunk(w, h)),
		chunk("ANMF", frame+chunk("PRVT", secret)+losslessChunk(w, h)), chunk("XMP ", xmp))
}
