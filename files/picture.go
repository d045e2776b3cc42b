package files

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"time"

	"golang.org/x/image/webp"

	"tandem/panics"
)

const (
	typeJPEG = "image/jpeg"
	typePNG  = "image/png"
	typeGIF  = "image/gif"
	typeWebP = "image/webp"
)

const (
	// maxPixels is the largest picture to decode, in pixels: more than most cameras produce.
	maxPixels = 40_000_000
	// decodeMemory bounds the memory of all pictures being decoded, in bytes: a progressive JPEG of maxPixels.
	decodeMemory = 640 << 20
	// decodeTime is how long a decoder may run, even on a busy machine. A few kilobytes can be crafted to occupy a
	// decoder for hours.
	decodeTime = 30 * time.Second
)

// picture describes how pictures of one type are decoded.
type picture struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error) // the first frame
}

var pictures = map[string]picture{
	typeJPEG: {jpeg.DecodeConfig, jpeg.Decode},
	typePNG:  {png.DecodeConfig, png.Decode},
	typeGIF:  {gif.DecodeConfig, gif.Decode},
	typeWebP: {webp.DecodeConfig, webp.Decode},
}

// makePreview measures the picture in file and makes its preview. A broken picture is not an error.
func (g *Ingester) makePreview(ctx context.Context, file *os.File, in *Incoming, f found) error {
	kind, ok := pictures[in.Type]
	if !ok {
		return nil
	}
	whole := func() io.Reader {
		return bufio.NewReader(&untilReader{io.NewSectionReader(file, 0, in.Size), time.Now().Add(decodeTime)})
	}
	var config image.Config
	if err := g.guard(func() (err error) { config, err = kind.config(whole()); return err }); err != nil {
		return nil
	}
	if config.Width <= 0 || config.Height <= 0 {
		return nil
	}
	in.Width, in.Height = config.Width, config.Height
	if sideways(f.orientation) {
		in.Width, in.Height = in.Height, in.Width
	}
	pixels := int64(config.Width) * int64(config.Height)
	needs := pixels * bytesPerPixel(in.Type, config.ColorModel, f.progressive)
	if pixels > maxPixels || needs > g.largest {
		return nil
	}
	if err := g.memory.Acquire(ctx, needs); err != nil {
		return err
	}
	defer g.memory.Release(needs)
	var small image.Image
	if err := g.guard(func() error {
		m, err := kind.decode(whole())
		if err == nil {
			small = upright(thumbnail(m), f.orientation)
		}
		return err
	}); err != nil {
		return nil
	}
	if config.ColorModel != color.YCbCrModel { // with channels that the preview does not have
		f.profile = nil
	}
	return g.writePreview(small, f.profile, in)
}

// guard runs f and turns a panic into an error: decoders get arbitrary input.
func (g *Ingester) guard(f func() error) (err error) {
	if !panics.Do(g.logger, "look into an uploaded file", func() { err = f() }) {
		err = errors.New("files: the decoder panicked")
	}
	return err
}

func (g *Ingester) writePreview(m image.Image, profile []byte, in *Incoming) error {
	out, err := g.staging.create()
	if err != nil {
		return full(err)
	}
	in.preview = out.Name()
	if o, ok := m.(interface{ Opaque() bool }); ok && o.Opaque() {
		in.PreviewType = typeJPEG
		var encoded bytes.Buffer // of at most maxPreview × maxPreview pixels
		if err = jpeg.Encode(&encoded, m, &jpeg.Options{Quality: 80}); err == nil {
			err = insertProfile(out, encoded.Bytes(), profile)
		}
	} else {
		in.PreviewType = typePNG
		err = png.Encode(out, m)
	}
	if err == nil {
		in.previewSize, err = out.Seek(0, io.SeekCurrent)
	}
	in.Preview = true
	return full(errors.Join(err, out.Close()))
}

// bytesPerPixel returns an upper bound of what Go's decoders use per pixel of such a picture, in bytes.
func bytesPerPixel(mediaType string, model color.Model, progressive bool) int64 {
	channels := int64(4)
	switch model {
	case color.GrayModel, color.Gray16Model:
		channels = 1
	case color.YCbCrModel:
		channels = 3
	default:
		if _, ok := model.(color.Palette); ok {
			channels = 1
		}
	}
	switch {
	case progressive:
		return channels * (1 + 4) // and a coefficient of 32 bits
	case mediaType == typePNG && (model == color.Gray16Model || model == color.RGBA64Model || model == color.NRGBA64Model):
		return channels * 2 * 2 // of 16 bits, and one of the passes of an interlaced picture
	case mediaType == typePNG, mediaType == typeWebP:
		return channels * 2
	}
	return channels
}

// untilReader fails once its time is over, which ends a decoder. It returns little at once, so that a decoder soon asks
// for more.
type untilReader struct {
	r     io.Reader
	until time.Time
}

func (u *untilReader) Read(p []byte) (int, error) {
	if time.Now().After(u.until) {
		return 0, os.ErrDeadlineExceeded
	}
	return u.r.Read(p[:min(len(p), 512)])
}
