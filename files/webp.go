package files

import "encoding/binary"

const (
	webpHasXMP  = 0x04 // flags of the VP8X chunk
	webpHasExif = 0x08

	// webpFrame is the size of a frame's own fields, before the chunks in it.
	webpFrame = 16
)

// webpKept are the chunks of pictures, frames and colours.
var webpKept = map[string]bool{"VP8 ": true, "VP8L": true, "ALPH": true, "ANIM": true, "ICCP": true}

// stripWebP keeps the chunks in webpKept, and the orientation from Exif, and adjusts the header. It drops other chunks
// and everything after the end.
func stripWebP(c *cursor, p *plan, f *found) error {
	head := []byte(string(c.peek(12)))
	if len(head) < 12 || string(head[:4]) != "RIFF" || string(head[8:]) != "WEBP" {
		return errUnreadable
	}
	size := int64(binary.LittleEndian.Uint32(head[4:]))
	c.end = min(c.end, 8+size+size%2)
	c.skip(12)
	var content plan
	var features []byte // the content of VP8X
	for {
		name, data, ok := nextChunk(c)
		if !ok {
			break
		}
		from := c.off
		switch {
		case webpKept[name]:
			keepChunk(c, &content, data)
		case name == "VP8X" && features == nil && data == 10 && c.rest() >= 10:
			features = c.bytes(from, data)
			if features[0]&(webpHasExif|webpHasXMP) == 0 {
				keepChunk(c, &content, data)
				break
			}
			features[0] &^= webpHasExif | webpHasXMP
			content.keep(from-8, 8)
			content.put(features)
		case name == "ANMF" && data >= webpFrame && c.rest() >= webpFrame:
			frame := stripFrame(c, data)
			if frame.is(from, min(data, c.rest())) {
				keepChunk(c, &content, data)
				break
			}
			content.put(binary.LittleEndian.AppendUint32([]byte(name), uint32(frame.size)))
			content.append(frame)
		case name == "EXIF" && features != nil && f.orientation == 0:
			f.orientation = orientationOf(c.bytes(from, min(data, maxExif)))
			if turned(f.orientation) {
				features[0] |= webpHasExif
				exif := exifOf(f.orientation)
				content.put(append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(exif))), exif...))
			}
		}
		c.skip(data + data%2)
	}
	if content.size == 0 {
		return errUnreadable
	}
	if content.size+4 == size {
		p.keep(0, 12)
	} else {
		binary.LittleEndian.PutUint32(head[4:], uint32(content.size+4))
		p.put(head)
	}
	p.append(&content)
	return nil
}

// stripFrame returns the content of the frame at c, of n bytes, with only the chunks of pictures.
func stripFrame(c *cursor, n int64) *plan {
	var p plan
	p.keep(c.off, webpFrame)
	inner := newCursor(c.r, c.off+webpFrame, min(c.off+n, c.end))
	for {
		name, data, ok := nextChunk(inner)
		if !ok {
			return &p
		}
		if webpKept[name] {
			keepChunk(inner, &p, data)
		}
		inner.skip(data + data%2)
	}
}

// nextChunk skips a chunk's header.
func nextChunk(c *cursor) (name string, data int64, ok bool) {
	head := c.peek(8)
	if len(head) < 8 {
		return "", 0, false
	}
	name, data = string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))
	return name, data, c.skip(8)
}

// keepChunk keeps the chunk whose data begins at c, with its padding byte.
func keepChunk(c *cursor, p *plan, data int64) {
	p.keep(c.off-8, 8+min(data+data%2, c.rest()))
	if data%2 == 1 && c.rest() == data {
		p.put([]byte{0})
	}
}
