package files

import (
	"encoding/binary"
	"hash/crc32"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// pngKept are the chunks that determine how a picture looks (PNG third edition, 11, with animation).
var pngKept = map[string]bool{
	"IHDR": true, "PLTE": true, "IDAT": true, "IEND": true, "tRNS": true, "cHRM": true, "gAMA": true, "iCCP": true,
	"sBIT": true, "sRGB": true, "cICP": true, "mDCV": true, "cLLI": true, "bKGD": true, "hIST": true, "pHYs": true,
	"sPLT": true, "acTL": true, "fcTL": true, "fdAT": true,
}

// stripPNG keeps the chunks in pngKept, and the orientation from Exif. It drops texts, times, private chunks, and
// everything after the end.
func stripPNG(c *cursor, p *plan, f *found) error {
	if !c.at(pngSignature) {
		return errUnreadable
	}
	p.keep(0, int64(len(pngSignature)))
	c.skip(int64(len(pngSignature)))
	for {
		head := c.peek(8)
		if len(head) < 8 {
			return nil
		}
		data := int64(binary.BigEndian.Uint32(head))
		name := string(head[4:])
		if data > 1<<31-1 {
			return errUnreadable
		}
		from := c.off
		whole := c.skip(8 + data + 4)
		switch {
		case pngKept[name]:
			p.keep(from, c.off-from)
		case name == "eXIf" && whole && f.orientation == 0:
			f.orientation = orientationOf(c.bytes(from+8, min(data, maxExif)))
			if turned(f.orientation) {
				p.put(pngChunk("eXIf", exifOf(f.orientation)))
			}
		}
		if name == "IEND" {
			return nil
		}
	}
}

func pngChunk(name string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, name...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}
