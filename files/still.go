package files

import (
	"encoding/binary"
	"slices"
)

// stillItems are the items of HEIF and AVIF that form a picture. Others are Exif and XMP.
var stillItems = []string{"hvc1", "hev1", "lhv1", "av01", "avc1", "vvc1", "jpeg", "grid", "iovl", "iden", "tmap"}

// stripStill removes everything except pictures from a HEIF or AVIF file: it zeroes the bytes of items that are not
// pictures. A picture's rotation is a separate property there, so Exif's orientation is not needed.
func stripStill(c *cursor, p *plan, f *found) error {
	b := &boxFile{cursor: c, found: f}
	top, whole := b.boxes(0, c.end)
	meta, has := child(top, "meta")
	if !whole || !has {
		return errUnreadable
	}
	for _, t := range top {
		if t.name == "mdat" {
			b.media = append(b.media, t)
		}
	}
	for _, t := range top {
		switch t.name {
		case "ftyp", "mdat":
		case "moov":
			if !b.movie(t, false) {
				return errUnreadable
			}
		case "meta":
			if t != meta || !b.items(t) {
				return errUnreadable
			}
		default:
			b.blank(t)
		}
	}
	f.width, f.height = 0, 0 // a sequence's tracks need not be as large as its picture
	b.plan(p, c.end)
	return nil
}

func (b *boxFile) items(meta box) bool {
	all, ok := b.keepOnly(meta.content+4, meta.end, "hdlr", "pitm", "iinf", "iref", "iprp", "iloc", "idat", "dinf", "grpl")
	if !ok {
		return false
	}
	iinf, ok1 := child(all, "iinf")
	iloc, ok2 := child(all, "iloc")
	if !ok1 || !ok2 {
		return false
	}
	others, ok := b.otherItems(iinf)
	if !ok {
		return false
	}
	if len(others) == 0 {
		return true
	}
	idat, ok := child(all, "idat")
	if ok {
		b.media = append(b.media, idat)
	}
	return b.zeroItems(iloc, idat, others)
}

// otherItems returns the ids of the items that are not pictures (ISO/IEC 14496-12, 8.11.6).
func (b *boxFile) otherItems(iinf box) (ids map[uint32]bool, ok bool) {
	version := b.bytes(iinf.content, 1)
	if len(version) == 0 {
		return nil, false
	}
	at := iinf.content + 6
	if version[0] > 0 {
		at += 2
	}
	all, ok := b.boxes(at, iinf.end)
	if !ok {
		return nil, false
	}
	ids = make(map[uint32]bool)
	for _, infe := range all {
		head := b.bytes(infe.content, 14)
		if infe.name != "infe" || len(head) < 12 {
			return nil, false
		}
		var id uint32
		var kind []byte
		switch head[0] {
		case 0, 1: // no picture has such an item
			id = uint32(binary.BigEndian.Uint16(head[4:]))
		case 2:
			id, kind = uint32(binary.BigEndian.Uint16(head[4:])), head[8:12]
		case 3:
			if len(head) < 14 {
				return nil, false
			}
			id, kind = binary.BigEndian.Uint32(head[4:]), head[10:14]
		default:
			return nil, false
		}
		if !slices.Contains(stillItems, string(kind)) {
			ids[id] = true
		}
	}
	return ids, true
}

// zeroItems zeroes the bytes of items (ISO/IEC 14496-12, 8.11.3).
func (b *boxFile) zeroItems(iloc, idat box, ids map[uint32]bool) bool {
	c := newCursor(b.r, iloc.content, iloc.end)
	whole := true
	number := func(size int) int64 { // of size bytes
		v := uint64(0)
		digits := c.peek(size)
		for _, d := range digits {
			v = v<<8 | uint64(d)
		}
		whole = whole && len(digits) == size && v < 1<<62
		c.skip(int64(size))
		return int64(v)
	}
	version := number(1)
	number(3)
	sizes := number(2)
	offsetSize, lengthSize, baseSize, indexSize := int(sizes>>12), int(sizes>>8&15), int(sizes>>4&15), int(sizes&15)
	if version == 0 {
		indexSize = 0
	}
	idSize := 2
	if version == 2 {
		idSize = 4
	}
	if version > 2 || max(offsetSize, lengthSize, baseSize, indexSize) > 8 {
		return false
	}
	for range number(idSize) {
		id := uint32(number(idSize))
		other := ids[id]
		start := int64(0)
		if version > 0 {
			switch method := number(2) & 15; {
			case method == 1:
				start = idat.content
				whole = whole && (!other || idat.content > 0)
			case method > 1 && other: // in another item
				return false
			}
		}
		if number(2) != 0 && other { // in another file
			return false
		}
		start += number(baseSize)
		extents := number(2)
		if !other {
			whole = whole && c.skip(extents*int64(indexSize+offsetSize+lengthSize))
			extents = 0
		}
		for range extents {
			number(indexSize)
			offset, length := number(offsetSize), number(lengthSize)
			if !whole || length == 0 || !b.zeroMedia(start+offset, length) {
				return false
			}
		}
		if !whole {
			return false
		}
	}
	return whole
}
