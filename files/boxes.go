package files

import (
	"encoding/binary"
	"slices"
)

// box is a piece of an MP4, QuickTime, HEIF or AVIF file (ISO/IEC 14496-12, 4.2).
type box struct {
	name    string
	from    int64 // of its header
	content int64
	end     int64
}

// boxes returns the boxes from off to end. It returns false if they are not all well-formed; the last one may then go
// past the end.
func (b *boxFile) boxes(off, end int64) ([]box, bool) {
	var found []box
	c := newCursor(b.r, off, end)
	for off < end {
		c.off = off
		head := c.peek(16)
		if len(head) < 8 || len(found) == maxBoxes {
			return found, false
		}
		next := box{string(head[4:8]), off, off + 8, off + int64(binary.BigEndian.Uint32(head))}
		switch next.end - off {
		case 0: // to the end
			next.end = end
		case 1: // the size follows in 64 bits
			if len(head) < 16 {
				return found, false
			}
			size := binary.BigEndian.Uint64(head[8:])
			if size > 1<<62 {
				return found, false
			}
			next.content, next.end = off+16, off+int64(size)
		}
		if next.end < next.content {
			return found, false
		}
		found = append(found, next)
		if next.end > end {
			return found, false
		}
		off = next.end
	}
	return found, true
}

const (
	// maxBoxes bounds the boxes in one other box. An hour of video in fragments of a second has 7,200.
	maxBoxes = 20_000
	// maxMedia bounds the boxes in which bytes are searched.
	maxMedia = 100
)

// edit replaces n bytes of a file by text or zeros.
type edit struct {
	from, n int64
	text    string
}

// boxFile is a file of boxes that is changed in place: boxes refer to bytes by position, so nothing may move.
type boxFile struct {
	*cursor
	media []box // with the samples and items
	edits []edit
	found *found
}

// blank turns a box into free space.
func (b *boxFile) blank(what box) {
	if what.name != "free" {
		b.edits = append(b.edits, edit{what.from + 4, 4, "free"})
	}
	b.zero(what.content, what.end-what.content)
}

func (b *boxFile) zero(from, n int64) {
	if n = min(n, b.end-from); n <= 0 {
		return
	}
	if last := len(b.edits) - 1; last >= 0 {
		if l := &b.edits[last]; l.text == "" && l.from+l.n == from {
			l.n += n
			return
		}
	}
	b.edits = append(b.edits, edit{from: from, n: n})
}

// zeroMedia zeroes bytes within the media of the file.
func (b *boxFile) zeroMedia(from, n int64) bool {
	if len(b.media) > maxMedia {
		return false
	}
	for _, m := range b.media {
		if from >= m.content && n <= m.end-from {
			b.zero(from, n)
			return len(b.edits) <= maxPieces
		}
	}
	return false
}

// keepOnly blanks the boxes in parent from off on that are not named, and returns the others.
func (b *boxFile) keepOnly(off, end int64, names ...string) ([]box, bool) {
	all, ok := b.boxes(off, end)
	if !ok {
		return nil, false
	}
	return slices.DeleteFunc(all, func(child box) bool {
		if slices.Contains(names, child.name) {
			return false
		}
		b.blank(child)
		return true
	}), true
}

// plan describes the changed file.
func (b *boxFile) plan(p *plan, size int64) {
	slices.SortStableFunc(b.edits, func(x, y edit) int { return int(max(-1, min(1, x.from-y.from))) })
	at := int64(0)
	for _, e := range b.edits {
		if e.from < at { // they overlap
			e = edit{from: at, n: e.from + e.n - at}
		}
		if e.n <= 0 {
			continue
		}
		p.keep(at, e.from-at)
		if e.text != "" {
			p.put([]byte(e.text))
		} else {
			p.zero(e.n)
		}
		at = e.from + e.n
	}
	p.keep(at, size-at)
}

// child returns the first box with that name.
func child(boxes []box, name string) (box, bool) {
	i := slices.IndexFunc(boxes, func(b box) bool { return b.name == name })
	if i < 0 {
		return box{}, false
	}
	return boxes[i], true
}

// inside returns the boxes along a path of names.
func (b *boxFile) inside(of box, path ...string) (box, bool) {
	for _, name := range path {
		all, _ := b.boxes(of.content, of.end)
		var ok bool
		if of, ok = child(all, name); !ok {
			return box{}, false
		}
	}
	return of, true
}

// table reads the entries of a box with a count and fixed-size entries.
type table struct {
	c     *cursor
	size  int64
	count int64
}

// table opens the table in what, whose count is at offset skip of its content and is followed by the entries.
func (b *boxFile) table(what box, skip, size int64) (*table, bool) {
	head := b.bytes(what.content+skip, 4)
	if len(head) < 4 {
		return nil, false
	}
	t := &table{newCursor(b.r, what.content+skip+4, what.end), size, int64(binary.BigEndian.Uint32(head))}
	return t, t.c.rest()/size >= t.count
}

// next returns the next entry.
func (t *table) next() []byte {
	e := t.c.peek(int(t.size))
	t.c.skip(t.size)
	return e
}
