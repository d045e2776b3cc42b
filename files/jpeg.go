package files

import (
	"encoding/binary"
	"io"
	"strings"
)

// Markers of ISO/IEC 10918-1, table B.1.
const (
	markerSOF0  = 0xc0
	markerSOF2  = 0xc2
	markerSOF15 = 0xcf
	markerRST0  = 0xd0
	markerSOI   = 0xd8
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerEXP   = 0xdf
	markerAPP0  = 0xe0
	markerAPP1  = 0xe1
	markerAPP2  = 0xe2
	markerAPP14 = 0xee
	markerTEM   = 0x01
)

const (
	jfifSegment  = 2 + 14 // of JFIF's APP0 without its thumbnail, with the length
	adobeSegment = 2 + 12

	iccAlone = "ICC_PROFILE\x00\x01\x01" // the first segment of one
	iccSpace = 4 + len(iccAlone) + 16    // where a segment's profile says what its channels are (ICC.1, 7.2)
)

// stripJPEG keeps the segments that a decoder needs, the colour profile, and the orientation from Exif. It drops
// everything after the end of the picture: phones' second pictures and videos, and anything else that was appended.
func stripJPEG(c *cursor, p *plan, f *found) error {
	if !c.at("\xff\xd8") {
		return errUnreadable
	}
	p.keep(0, 2)
	c.skip(2)
	seenExif := false
	for {
		marker, ok := nextMarker(c)
		if marker == markerEOI {
			p.keep(c.off-2, 2)
			return nil
		}
		if !ok {
			p.put([]byte{0xff, markerEOI})
			return nil
		}
		if marker == markerTEM || marker >= markerRST0 && marker <= markerSOI {
			continue // has no segment, and no meaning here
		}
		length := int64(2)
		if b := c.peek(2); len(b) == 2 {
			length = int64(binary.BigEndian.Uint16(b))
		}
		if length < 2 {
			return errUnreadable
		}
		if length > c.rest() {
			c.skip(c.rest())
			continue
		}
		from := c.off
		kept := false
		switch name := string(c.peek(16)[2:]); {
		case marker >= markerSOF0 && marker <= markerSOF15, marker >= markerSOS && marker <= markerEXP:
			kept = true
		case marker == markerAPP0 && strings.HasPrefix(name, "JFIF\x00") && length >= jfifSegment:
			head := c.bytes(from, jfifSegment)
			if kept = length == jfifSegment; kept {
				break
			}
			head[0], head[1] = 0, jfifSegment
			head[14], head[15] = 0, 0 // the thumbnail's size
			p.put(append([]byte{0xff, markerAPP0}, head...))
		case marker == markerAPP14 && strings.HasPrefix(name, "Adobe") && length >= adobeSegment:
			head := c.bytes(from, adobeSegment)
			if kept = length == adobeSegment; kept {
				break
			}
			head[0], head[1] = 0, adobeSegment
			p.put(append([]byte{0xff, markerAPP14}, head...))
		case marker == markerAPP2 && strings.HasPrefix(name, "ICC_PROFILE\x00"):
			kept = true
			if f.profile == nil && strings.HasPrefix(name, iccAlone) {
				f.profile = append([]byte{0xff, markerAPP2}, c.bytes(from, length)...)
			}
		case marker == markerAPP1 && strings.HasPrefix(name, exifPrefix) && !seenExif:
			seenExif = true
			f.orientation = orientationOf(c.bytes(from+2, length-2))
			if turned(f.orientation) {
				exif := exifOf(f.orientation)
				size := 2 + len(exifPrefix) + len(exif)
				p.put(append([]byte{0xff, markerAPP1, 0, byte(size)}, exifPrefix+string(exif)...))
			}
		}
		if marker >= markerSOF2 && marker <= markerSOF15 && marker%4 == markerSOF2%4 {
			f.progressive = true
		}
		c.skip(length)
		if kept {
			p.keep(from-2, 2+length)
		}
		if marker == markerSOS {
			skipScan(c)
			p.keep(from+length, c.off-from-length)
		}
	}
}

// nextMarker skips to after the next marker, over fill bytes and anything else, as decoders do.
func nextMarker(c *cursor) (marker byte, ok bool) {
	for c.rest() >= 2 {
		b := c.peek(2)
		if len(b) < 2 {
			break
		}
		if b[0] == 0xff && b[1] != 0 && b[1] != 0xff {
			c.skip(2)
			return b[1], true
		}
		c.skip(1)
	}
	return 0, false
}

// skipScan skips to the marker that ends a scan. In a scan, 0xff followed by 0 stands for itself, and restart markers
// are part of it.
func skipScan(c *cursor) {
	for c.rest() > 0 {
		b := c.peek(cursorBuffer)
		if len(b) == 0 {
			return
		}
		for i := 0; ; i++ {
			if i == len(b) || i == len(b)-1 && b[i] == 0xff && c.rest() > int64(len(b)) {
				c.skip(int64(i)) // to examine the last 0xff together with what follows
				break
			}
			if i == len(b)-1 {
				if b[i] == 0xff { // the file's last byte
					c.skip(int64(i))
					return
				}
				continue
			}
			if b[i] == 0xff && b[i+1] != 0 && (b[i+1] < markerRST0 || b[i+1] >= markerSOI) {
				c.skip(int64(i))
				return
			}
		}
	}
}

// insertProfile writes a JPEG with the colour profile of a picture, so that a preview looks like the picture.
func insertProfile(w io.Writer, picture, segment []byte) error {
	if len(segment) < iccSpace+4 || string(segment[iccSpace:iccSpace+4]) != "RGB " {
		segment = nil
	}
	for _, part := range [][]byte{picture[:2], segment, picture[2:]} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}
