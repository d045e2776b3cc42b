package files

import (
	"bytes"
	"errors"
	"io"
)

// errUnreadable means that a file's structure does not match its type, so that the extent of its metadata is unknown.
var errUnreadable = errors.New("files: the structure of the file cannot be read")

// maxPieces bounds a plan: 10 MiB could be crafted to need a million pieces.
const maxPieces = 50_000

// plan describes a new file made from an old one, without its bytes: pieces of it, literal bytes and zeros, in order.
type plan struct {
	pieces []piece
	size   int64
	err    error // too many pieces
}

type piece struct {
	from    int64  // in the old file; unused for literal bytes and zeros
	n       int64  // bytes
	literal []byte // n of them
}

const nowhere = -1

// keep appends n bytes of the old file.
func (p *plan) keep(from, n int64) {
	if n <= 0 {
		return
	}
	if last := len(p.pieces) - 1; last >= 0 && from != nowhere {
		if l := &p.pieces[last]; l.from != nowhere && l.from+l.n == from {
			l.n += n
			p.size += n
			return
		}
	}
	p.add(piece{from: from, n: n})
}

// put appends literal bytes, which the caller may still change.
func (p *plan) put(literal []byte) {
	p.add(piece{from: nowhere, n: int64(len(literal)), literal: literal})
}

// zero appends n zeros.
func (p *plan) zero(n int64) { p.keep(nowhere, n) }

func (p *plan) add(next piece) {
	if len(p.pieces) == maxPieces {
		p.err = errUnreadable
		return
	}
	p.pieces = append(p.pieces, next)
	p.size += next.n
}

// append appends the pieces of another plan.
func (p *plan) append(other *plan) {
	if other.err != nil {
		p.err = other.err
	}
	for _, next := range other.pieces {
		if next.from == nowhere {
			p.add(next)
		} else {
			p.keep(next.from, next.n)
		}
	}
}

// is reports whether the new file is exactly the n bytes of the old one from there.
func (p *plan) is(from, n int64) bool {
	return p.err == nil && len(p.pieces) == 1 && p.pieces[0].from == from && p.pieces[0].n == n
}

// reader reads the new file.
func (p *plan) reader(old io.ReaderAt) io.Reader {
	next := 0
	var now io.Reader = bytes.NewReader(nil)
	return readFunc(func(b []byte) (int, error) {
		for {
			if n, err := now.Read(b); n > 0 || err != nil && err != io.EOF {
				return n, err
			}
			if next == len(p.pieces) {
				return 0, io.EOF
			}
			switch piece := p.pieces[next]; {
			case piece.from != nowhere:
				now = io.NewSectionReader(old, piece.from, piece.n)
			case piece.literal != nil:
				now = bytes.NewReader(piece.literal)
			default:
				now = io.LimitReader(zeros{}, piece.n)
			}
			next++
		}
	})
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// cursor reads through a file with few reads.
type cursor struct {
	r    io.ReaderAt
	off  int64 // its position
	end  int64 // its limit
	err  error // of reading, other than the end
	from int64 // where buf begins in the file
	buf  []byte
}

const cursorBuffer = 4 << 10

func newCursor(r io.ReaderAt, off, end int64) *cursor {
	return &cursor{r: r, off: min(off, end), end: end}
}

func (c *cursor) rest() int64 { return c.end - c.off }

// peek returns the next n bytes, at most cursorBuffer, without advancing; fewer at the end of the file. They are valid
// until the next call.
func (c *cursor) peek(n int) []byte {
	n = int(min(int64(n), c.rest()))
	if c.off < c.from || c.off+int64(n) > c.from+int64(len(c.buf)) {
		if cap(c.buf) == 0 {
			c.buf = make([]byte, cursorBuffer)
		}
		c.from = c.off
		c.buf = c.buf[:min(cursorBuffer, c.rest())]
		got, err := c.r.ReadAt(c.buf, c.off)
		if err != nil && err != io.EOF {
			c.err = err
		}
		if c.buf = c.buf[:got]; int64(got) < min(cursorBuffer, c.rest()) {
			c.end = c.off + int64(got) // so that reading ends
		}
	}
	have := c.buf[c.off-c.from:]
	return have[:min(n, len(have))]
}

// at reports whether the file continues with s.
func (c *cursor) at(s string) bool { return string(c.peek(len(s))) == s }

// skip advances by n bytes, and reports whether there were as many.
func (c *cursor) skip(n int64) bool {
	if n < 0 || n > c.rest() {
		c.off = c.end
		return false
	}
	c.off += n
	return true
}

// bytes returns a copy of up to n bytes from off.
func (c *cursor) bytes(off, n int64) []byte {
	b := make([]byte, max(0, min(n, c.end-off)))
	got, err := c.r.ReadAt(b, off)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return b[:got]
}
