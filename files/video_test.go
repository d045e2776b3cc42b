package files

import (
	"encoding/binary"
	"strings"
	"testing"
)

// boxOf returns a box by ISO/IEC 14496-12.
func boxOf(name string, content ...string) string {
	all := strings.Join(content, "")
	return u32(8+len(all)) + name + all
}

// fullBox returns a box with version and flags.
func fullBox(name string, version byte, content ...string) string {
	return boxOf(name, string([]byte{version, 0, 0, 0})+strings.Join(content, ""))
}

func u32(n int) string { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }
func u16(n int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }

const (
	frames = "the picture, the sound."
	places = "52.5200N 13.4050E"
)

// track returns a track with samples in two chunks.
func track(handler, matrix string, offsets [2]int, size int) string {
	tkhd := fullBox("tkhd", 0, strings.Repeat("\x00", 20+16), matrix, u32(1920<<16), u32(1080<<16))
	stbl := boxOf("stbl",
		fullBox("stsz", 0, u32(0), u32(3), u32(size), u32(size), u32(size)),
		fullBox("stsc", 0, u32(2), u32(1)+u32(2)+u32(1), u32(2)+u32(1)+u32(1)),
		fullBox("stco", 0, u32(2), u32(offsets[0]), u32(offsets[1])))
	return boxOf("trak", tkhd,
		boxOf("udta", boxOf("name", secret)),
		fullBox("meta", 0, secret),
		boxOf("mdia", fullBox("hdlr", 0, u32(0), handler, strings.Repeat("\x00", 12), "\x00"), boxOf("udta", secret), boxOf("minf", stbl)))
}

const (
	upright0 = "\x00\x01\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x01\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00"
	quarter  = "\x00\x00\x00\x00" + "\x00\x01\x00\x00\x00\x00\x00\x00" + "\xff\xff\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00"
)

// videoWith returns a video as cameras make them: its location is in every known place, and second by second in a
// separate track.
func videoWith(brand string) string {
	ftyp := boxOf("ftyp", brand, u32(512), brand)
	media := frames + places + places + frames + places
	at := len(ftyp) + 8
	data := [2]int{at + len(frames), at + len(frames)*2 + len(places)*2}
	size := len(places)
	return ftyp + boxOf("mdat", media) +
		boxOf("moov", fullBox("mvhd", 0, strings.Repeat("\x00", 96)),
			track("vide", quarter, [2]int{at, at + 3}, 1),
			track("meta", upright0, data, size),
			boxOf("udta", boxOf("\xa9xyz", secret), boxOf("loci", secret), boxOf("\xa9mod", secret)),
			fullBox("meta", 0, boxOf("keys", "com.apple.quicktime.location.ISO6709"), boxOf("ilst", secret)),
			boxOf("uuid", "\xbe\x7a\xcf\xcb\x97\xa9\x42\xe8\x9c\x71\x99\x94\x91\xe3\xaf\xac"+xmp)) +
		u32(1) + "free\x00\x00\x00\x00" + u32(16+len(secret)) + secret +
		boxOf("uuid", secret) + boxOf("XtrA", secret) + fullBox("meta", 0, secret)
}

func fragmented() string {
	return boxOf("ftyp", "iso5", u32(0), "iso5") +
		boxOf("moov", fullBox("mvhd", 0, strings.Repeat("\x00", 96)), boxOf("mvex"), boxOf("udta", secret), track("vide", upright0, [2]int{}, 1)) +
		boxOf("moof", fullBox("mfhd", 0, u32(1)), boxOf("meta", secret), boxOf("traf", fullBox("tfhd", 0, u32(1)), boxOf("udta", secret))) +
		boxOf("mdat", frames) + "crumb"
}

// stillWith returns a picture as phones make them, with Exif data in the file and XMP in its index.
func stillWith(brand string) string {
	ftyp := boxOf("ftyp", brand, u32(0), "mif1", brand)
	index := func(at int) string {
		item := func(id int, kind, rest string) string {
			return fullBox("infe", 2, u16(id), u16(0), kind, "\x00", rest)
		}
		extent := func(id, method, base, offset, length int) string {
			return u16(id) + u16(method) + u16(0) + u32(base) + u16(1) + u32(offset) + u32(length)
		}
		return fullBox("meta", 0, fullBox("hdlr", 0, u32(0), "pict", strings.Repeat("\x00", 12), "\x00"), fullBox("pitm", 0, u16(1)),
			fullBox("iinf", 0, u16(3), item(1, "av01", ""), item(2, "Exif", ""), item(3, "mime", "application/rdf+xml\x00")),
			fullBox("iloc", 1, u16(0x4440), u16(3),
				extent(1, 0, 0, at, len(frames)), extent(2, 0, at, len(frames), len(secret)), extent(3, 1, 0, 2, len(xmp))),
			boxOf("iprp", boxOf("ipco")), boxOf("idat", "ok"+xmp), boxOf("uuid", secret))
	}
	at := len(ftyp) + len(index(0)) + 8
	return ftyp + index(at) + boxOf("mdat", frames+secret) + boxOf("free", secret)
}

// After cleaning, videos and phone pictures have no location, and nothing else has moved or changed.
func TestVideosLoseOnlyTheirMetadata(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	for name, tt := range map[string]struct {
		data, mediaType string
		width, height   int
	}{
		"mp4":        {videoWith("isom"), "video/mp4", 1080, 1920},
		"quicktime":  {videoWith("qt  "), "video/quicktime", 1080, 1920},
		"m4a":        {videoWith("M4A "), "audio/x-m4a", 1080, 1920},
		"fragmented": {fragmented(), "video/mp4", 1920, 1080},
		"avif":       {stillWith("avif"), "image/avif", 0, 0},
		"heic":       {stillWith("heic"), "image/heic", 0, 0},
	} {
		in := receive(t, g, name, []byte(tt.data))
		got := string(bytesOf(t, in))
		if in.Type != tt.mediaType || in.Width != tt.width || in.Height != tt.height {
			t.Errorf("%s: got %+v, want %s of %d × %d", name, in, tt.mediaType, tt.width, tt.height)
		}
		for _, s := range []string{secret[:8], places, "xyz", "loci", "udta", "quicktime.location", "uuid", "xmpmeta"} {
			if i := strings.Index(got, s); i >= 0 {
				t.Errorf("%s still contains %q: %q", name, s, got[max(0, i-20):])
			}
		}
		want := strings.TrimSuffix(tt.data, "crumb")
		if len(got) != len(want) {
			t.Fatalf("%s: %d bytes became %d", name, len(want), len(got))
		}
		for from := 0; ; {
			i := strings.Index(want[from:], frames)
			if i < 0 {
				break
			}
			if from += i; got[from:from+len(frames)] != frames {
				t.Errorf("%s: bytes at %d = %q", name, from, got[from:from+len(frames)])
			}
			from++
		}
		again := receive(t, g, name, []byte(got))
		if string(bytesOf(t, again)) != got || again.Type != in.Type {
			t.Errorf("%s: cleaning twice changed the file again", name)
		}
	}
}

// A video that cannot be parsed to its end is not shown as one.
func TestUnreadableVideos(t *testing.T) {
	t.Parallel()
	g := newIngester(t)
	video := videoWith("isom")
	first := strings.Index(video, places)
	replace := func(old, by string) string {
		if !strings.Contains(video, old) {
			t.Fatalf("video does not contain %q", old)
		}
		return strings.Replace(video, old, by, 1)
	}
	for name, data := range map[string]string{
		"cut short":              video[:len(video)-20],
		"no index":               video[:strings.Index(video, "mdat")-4] + boxOf("mdat", secret),
		"a compressed index":     replace("mvhd", "cmov"),
		"samples out of bounds":  replace("stco"+u32(0)+u32(2)+u32(first), "stco"+u32(0)+u32(2)+u32(1<<30)),
		"a picture without iloc": strings.Replace(stillWith("avif"), "iloc", "iloq", 1),
	} {
		in := receive(t, g, name, []byte(data))
		if in.Type != unknownType {
			t.Errorf("%s: type: got %s, want %s", name, in.Type, unknownType)
		}
	}
	// Media data may be truncated: the index came first, and the available part can be played.
	in := receive(t, g, "cut", []byte(strings.TrimSuffix(fragmented(), "sound.crumb")))
	if in.Type != "video/mp4" || strings.Contains(string(bytesOf(t, in)), secret) {
		t.Errorf("type of a video cut within its media = %s", in.Type)
	}
}
