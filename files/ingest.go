package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Ingester receives uploads into temporary files. Safe for concurrent use: uploads are received simultaneously in
// little memory, and processed one at a time per core.
type Ingester struct {
	staging *staging
	logger  *slog.Logger
	buffers sync.Pool
	cores   chan struct{}
	memory  *semaphore.Weighted // bytes for decoding pictures
	largest int64               // of one picture
}

// copyBuffer is the memory of an upload while it is received, in bytes: a thousand at once use 8 MiB.
const copyBuffer = 8 << 10

// NewIngester returns an Ingester whose temporary files are in dataDir, next to the blobs of the local folder. It
// removes those left by a crash.
func NewIngester(dataDir string, logger *slog.Logger) (*Ingester, error) {
	staging := newStaging(filesDir(dataDir))
	if err := staging.clear(); err != nil {
		return nil, fmt.Errorf("remove unfinished uploads: %w", err)
	}
	cores := runtime.GOMAXPROCS(0)
	largest := int64(decodeMemory)
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		largest = min(largest, limit/4)
	}
	return &Ingester{
		staging: staging,
		logger:  logger,
		buffers: sync.Pool{New: func() any { return new([copyBuffer]byte) }},
		cores:   make(chan struct{}, cores),
		memory:  semaphore.NewWeighted(largest),
		largest: largest,
	}, nil
}

// Incoming is a received upload whose bytes are in a temporary file. Not safe for concurrent use.
type Incoming struct {
	Name   string   // see CleanName
	Size   int64    // in bytes, without what was removed
	Type   string   // the media type, detected from the bytes
	Width  int      // of a picture or video as displayed, in pixels, with its orientation; 0 if unknown
	Height int      // as Width
	Sum    [32]byte // SHA-256 of the stored bytes

	// Preview reports whether there is a smaller picture, a JPEG or PNG of at most 640 × 640, with the type
	// PreviewType.
	Preview     bool
	PreviewType string

	path, preview string // of the temporary files; empty once they are gone
	previewSize   int64
}

// Receive reads an upload, named name by its sender, to the end. It returns ErrTooLarge if there are more than limit
// bytes, ErrFull, or the error of r, and then leaves nothing behind. Problems inside the file are not errors: a picture
// that cannot be decoded has no preview, and one whose metadata cannot be removed reliably is application/octet-stream.
func (g *Ingester) Receive(ctx context.Context, r io.Reader, name string, limit int64) (*Incoming, error) {
	in := &Incoming{Name: cleanName(name)}
	err := g.receive(ctx, r, limit, in)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("receive a file: %w", err), in.Discard())
	}
	return in, nil
}

func (g *Ingester) receive(ctx context.Context, r io.Reader, limit int64, in *Incoming) error {
	file, err := g.staging.create()
	if err != nil {
		return full(err)
	}
	in.path = file.Name()
	defer func() { file.Close() }()
	if in.Size, in.Sum, err = g.fill(file, io.LimitReader(readerOf(ctx, r), limit+1)); err != nil {
		return err
	}
	if in.Size > limit {
		return ErrTooLarge
	}
	var extension string
	if in.Type, extension, err = sniff(file, in.Size); err != nil {
		return err
	}
	if in.Name == "" {
		in.Name = unnamed + extension
	}
	if !mayCarry(in.Type) {
		return nil
	}
	select {
	case g.cores <- struct{}{}:
		defer func() { <-g.cores }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var f found
	if file, f, err = g.strip(ctx, file, in); err != nil {
		return err
	}
	return g.makePreview(ctx, file, in, f)
}

// fill copies r to file.
func (g *Ingester) fill(file *os.File, r io.Reader) (size int64, sum [32]byte, err error) {
	buffer := g.buffers.Get().(*[copyBuffer]byte)
	defer g.buffers.Put(buffer)
	h := sha256.New()
	for {
		n, err := r.Read(buffer[:])
		h.Write(buffer[:n])
		if err := g.staging.writes.await(func() error { _, err := file.Write(buffer[:n]); return err }); err != nil {
			return 0, sum, full(err)
		}
		size += int64(n)
		if err == io.EOF {
			return size, [32]byte(h.Sum(nil)), nil
		} else if err != nil {
			return 0, sum, err
		}
	}
}

// Keep stores the bytes under id, and the preview under PreviewName(id). After an error it can be retried with the same
// id. After it returned nil, the upload is only in blobs.
func (i *Incoming) Keep(ctx context.Context, blobs Blobs, id string) error {
	// The preview comes first, so that a stored file has its preview.
	if i.preview != "" {
		if err := keep(ctx, blobs, PreviewName(id), &i.preview, i.previewSize); err != nil {
			return err
		}
	}
	if i.path == "" {
		return errors.New("files: an upload can be stored only once")
	}
	return keep(ctx, blobs, id, &i.path, i.Size)
}

func keep(ctx context.Context, blobs Blobs, name string, path *string, size int64) error {
	if folder, ok := blobs.(*Folder); ok {
		err := folder.adopt(*path, name)
		if err == nil {
			*path = ""
		}
		return err
	}
	file, err := os.Open(*path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := blobs.Put(ctx, name, file, size); err != nil {
		return err
	}
	return remove(path)
}

// Discard removes what Keep has not stored. It can be called at any time, repeatedly.
func (i *Incoming) Discard() error { return errors.Join(remove(&i.path), remove(&i.preview)) }

func remove(path *string) error {
	if *path == "" {
		return nil
	}
	err := os.Remove(*path)
	if err == nil {
		*path = ""
	}
	return err
}
