package files

import "strings"

// Blocks of GIF89a.
const (
	gifExtension = 0x21
	gifImage     = 0x2c
	gifTrailer   = 0x3b

	gifControl     = 0xf9
	gifApplication = 0xff
)

// stripGIF keeps the frames, their durations and how often they repeat. It drops comments, texts, other programs'
// extensions (including XMP) and everything after the end.
func stripGIF(c *cursor, p *plan, _ *found) error {
	head := c.peek(13)
	if len(head) < 13 || string(head[:3]) != "GIF" {
		return errUnreadable
	}
	if !c.skip(13 + gifTable(head[10])) {
		return errUnreadable
	}
	p.keep(0, c.off)
	for {
		b := c.peek(16)
		if len(b) == 0 {
			return nil
		}
		from, kept := c.off, false
		switch b[0] {
		case gifTrailer:
			p.keep(c.off, 1)
			return nil
		case gifImage:
			kept = true
			if len(b) < 10 {
				c.skip(c.rest())
				break
			}
			c.skip(10 + gifTable(b[9]) + 1)
			skipBlocks(c)
		case gifExtension:
			if len(b) < 2 {
				c.skip(c.rest())
				break
			}
			// 11 bytes name the program.
			repeats := b[1] == gifApplication && (strings.HasPrefix(string(b[2:]), "\x0bNETSCAPE2.0") || strings.HasPrefix(string(b[2:]), "\x0bANIMEXTS1.0"))
			kept = b[1] == gifControl || repeats
			c.skip(2)
			skipBlocks(c)
		default:
			return errUnreadable
		}
		if kept {
			p.keep(from, c.off-from)
		}
	}
}

// gifTable returns the size in bytes of the colour table that the packed field announces.
func gifTable(packed byte) int64 {
	if packed&0x80 == 0 {
		return 0
	}
	return 3 << (packed&7 + 1)
}

// skipBlocks skips to after the empty block that ends a sequence of blocks.
func skipBlocks(c *cursor) {
	for {
		b := c.peek(1)
		if len(b) == 0 || !c.skip(1+int64(b[0])) || b[0] == 0 {
			return
		}
	}
}
