package files

import (
	"encoding/binary"
	"slices"
)

// videoTracks are the handlers of what is seen, heard and read. Other tracks contain the camera's data: its position
// each second (GoPro, Google), faces, and the like.
var videoTracks = []string{"vide", "auxv", "pict", "soun", "sbtl", "subt", "text", "clcp", "tmcd"}

// stripVideo removes everything except pictures and sound from an MP4 or QuickTime file: titles, places, makers and
// programs in udta, meta and uuid boxes (of the video, its tracks and fragments), free space, and data tracks with their
// samples. Nothing moves.
func stripVideo(c *cursor, p *plan, f *found) error {
	b := &boxFile{cursor: c, found: f}
	end := c.end
	top, whole := b.boxes(0, end)
	if !whole {
		// Only media may be cut short, or the remains after the last box.
		if len(top) == 0 {
			return errUnreadable
		}
		switch last := top[len(top)-1]; {
		case last.end > end && last.name != "mdat":
			return errUnreadable
		case last.end <= end && end-last.end >= 8:
			return errUnreadable
		default:
			end = min(end, last.end)
		}
	}
	for _, t := range top {
		if t.name == "mdat" {
			b.media = append(b.media, t)
		}
	}
	fragments := slices.ContainsFunc(top, func(t box) bool { return t.name == "moof" })
	seen := false
	for _, t := range top {
		ok := true
		switch t.name {
		case "ftyp", "styp", "mdat", "sidx", "ssix", "mfra", "pdin", "prft":
		case "moov":
			seen = true
			ok = b.movie(t, fragments)
		case "moof":
			ok = b.fragment(t)
		default:
			b.blank(t)
		}
		if !ok {
			return errUnreadable
		}
	}
	if !seen {
		return errUnreadable
	}
	b.plan(p, end)
	return nil
}

func (b *boxFile) movie(moov box, fragments bool) bool {
	all, ok := b.keepOnly(moov.content, moov.end, "mvhd", "iods", "mvex", "pssh", "trak")
	if _, has := child(all, "mvhd"); !ok || !has { // without it, the box is compressed
		return false
	}
	for _, trak := range all {
		if trak.name != "trak" {
			continue
		}
		hdlr, ok := b.inside(trak, "mdia", "hdlr")
		if !ok {
			return false
		}
		handler := string(b.bytes(hdlr.content+8, 4))
		if !slices.Contains(videoTracks, handler) {
			if fragments || !b.zeroSamples(trak) {
				return false
			}
			b.blank(trak)
			continue
		}
		parts, ok := b.keepOnly(trak.content, trak.end, "tkhd", "tapt", "edts", "tref", "mdia")
		if !ok {
			return false
		}
		for _, part := range parts {
			switch {
			case part.name == "mdia":
				if _, ok := b.keepOnly(part.content, part.end, "mdhd", "hdlr", "elng", "minf"); !ok {
					return false
				}
			case part.name == "tkhd" && handler == "vide" && b.found.width == 0:
				b.measure(part)
			}
		}
	}
	return true
}

func (b *boxFile) fragment(moof box) bool {
	all, ok := b.keepOnly(moof.content, moof.end, "mfhd", "traf", "pssh")
	if !ok {
		return false
	}
	for _, traf := range all {
		if traf.name != "traf" {
			continue
		}
		_, ok := b.keepOnly(traf.content, traf.end, "tfhd", "tfdt", "trun", "sdtp", "sbgp", "sgpd", "subs", "saiz", "saio", "senc")
		if !ok {
			return false
		}
	}
	return true
}

// measure determines the display size of the track (ISO/IEC 14496-12, 8.3.2).
func (b *boxFile) measure(tkhd box) {
	head := b.bytes(tkhd.content, 96)
	if len(head) > 0 && head[0] == 1 { // times of 64 bits
		head = head[min(len(head), 12):]
	}
	if len(head) < 84 {
		return
	}
	number := func(at int) int { return int(binary.BigEndian.Uint32(head[at:])) }
	b.found.width, b.found.height = number(76)>>16, number(80)>>16
	if number(40) == 0 && number(56) == 0 { // the matrix turns it by a quarter
		b.found.width, b.found.height = b.found.height, b.found.width
	}
}

// zeroSamples zeroes a track's bytes in the media (ISO/IEC 14496-12, 8.7).
func (b *boxFile) zeroSamples(trak box) bool {
	stbl, ok := b.inside(trak, "mdia", "minf", "stbl")
	if !ok {
		return false
	}
	all, _ := b.boxes(stbl.content, stbl.end)
	stsz, ok1 := child(all, "stsz")
	stsc, ok2 := child(all, "stsc")
	stco, ok3 := child(all, "stco")
	width := int64(4)
	if !ok3 {
		stco, ok3 = child(all, "co64")
		width = 8
	}
	if !ok1 || !ok2 || !ok3 {
		return false
	}
	same := b.bytes(stsz.content+4, 4) // the size of all samples, or 0
	if len(same) < 4 {
		return false
	}
	fixed := int64(binary.BigEndian.Uint32(same))
	entry := int64(4)
	sizes, ok1 := b.table(stsz, 8, entry)
	if fixed > 0 && sizes != nil {
		ok1 = true
	}
	runs, ok2 := b.table(stsc, 4, 12)
	chunks, ok3 := b.table(stco, 4, width)
	if !ok1 || !ok2 || !ok3 {
		return false
	}
	samples := sizes.count
	if fixed > 0 && samples > b.end/fixed {
		return false
	}
	perChunk, runEnd := int64(0), int64(0) // of the current run of chunks
	left := runs.count
	var following []byte
	if left > 0 {
		following = slices.Clone(runs.next())
	}
	for n := int64(1); n <= chunks.count && samples > 0; n++ {
		if n > runEnd {
			if left == 0 || int64(binary.BigEndian.Uint32(following)) != n {
				return false
			}
			perChunk, runEnd = int64(binary.BigEndian.Uint32(following[4:])), chunks.count
			if left--; left > 0 {
				following = slices.Clone(runs.next())
				runEnd = int64(binary.BigEndian.Uint32(following)) - 1
			}
		}
		at := int64(0)
		if e := chunks.next(); width == 4 {
			at = int64(binary.BigEndian.Uint32(e))
		} else if at = int64(binary.BigEndian.Uint64(e)); at < 0 {
			return false
		}
		count := min(perChunk, samples)
		samples -= count
		bytes := count * fixed
		if fixed == 0 {
			for range count {
				bytes += int64(binary.BigEndian.Uint32(sizes.next()))
			}
		}
		if !b.zeroMedia(at, bytes) {
			return false
		}
	}
	return samples == 0
}
