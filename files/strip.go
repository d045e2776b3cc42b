package files

import (
	"context"
	"io"
	"os"
	"strings"
)

// found is what was learned about a file while searching for its metadata.
type found struct {
	orientation int    // of Exif, 1 to 8; 0 if there is none
	progressive bool   // a JPEG whose decoder holds all coefficients
	profile     []byte // a JPEG's segment with its colour profile, if it has exactly one

	width, height int // of a video; 0 if unknown
}

// strippers make the plan of a file without its metadata, by type. Pixels, colours and sound stay bit by bit. They keep
// what is known to be needed, rather than drop what is known to be metadata. A truncated file is kept up to its end.
var strippers = map[string]func(c *cursor, p *plan, f *found) error{
	typeJPEG: stripJPEG,
	typePNG:  stripPNG,
	typeGIF:  stripGIF,
	typeWebP: stripWebP,

	"video/mp4": stripVideo, "video/quicktime": stripVideo, "video/x-m4v": stripVideo, "video/3gpp": stripVideo,
	"video/3gpp2": stripVideo, "video/mj2": stripVideo, "video/vnd.dvb.file": stripVideo,
	"audio/mp4": stripVideo, "audio/x-m4a": stripVideo,

	"image/heic": stripStill, "image/heif": stripStill, "image/avif": stripStill,
	"image/heic-sequence": stripStill, "image/heif-sequence": stripStill,
}

// plain are the types of pictures whose files cannot say where they were taken. An SVG is a document that somebody
// wrote.
var plain = map[string]bool{"image/bmp": true, "image/x-icon": true, "image/svg+xml": true}

// mayCarry reports whether such a file may say where it was taken.
func mayCarry(mediaType string) bool {
	return strippers[mediaType] != nil || strings.HasPrefix(mediaType, "image/") && !plain[mediaType]
}

// strip removes the metadata of the upload in file, and returns the file with what remains. If it cannot, the upload
// gets the unknown type.
func (g *Ingester) strip(ctx context.Context, file *os.File, in *Incoming) (*os.File, found, error) {
	var (
		f found
		p plan
	)
	stripper := strippers[in.Type]
	if stripper == nil {
		in.Type = unknownType
		return file, f, nil
	}
	c := newCursor(&contextReaderAt{ctx, file}, 0, in.Size)
	err := g.guard(func() error { return stripper(c, &p, &f) })
	if c.err != nil {
		return file, f, c.err
	}
	if err != nil || p.err != nil {
		in.Type = unknownType
		return file, found{}, nil
	}
	in.Width, in.Height = f.width, f.height
	if p.is(0, in.Size) {
		return file, f, nil
	}
	cleaned, err := g.staging.create()
	if err != nil {
		return file, f, full(err)
	}
	old := in.path
	in.path = cleaned.Name()
	in.Size, in.Sum, err = g.fill(cleaned, p.reader(file))
	file.Close()
	if removed := os.Remove(old); err == nil {
		err = removed
	}
	return cleaned, f, err
}

// contextReaderAt is a reader until ctx ends.
type contextReaderAt struct {
	ctx context.Context // of one call, whose end it is
	r   io.ReaderAt
}

func (c *contextReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.ReadAt(p, off)
}
