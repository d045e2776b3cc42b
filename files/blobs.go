package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
	"time"
)

var (
	// ErrNotFound means that there is no blob with that name.
	ErrNotFound = errors.New("no such file")
	// ErrFull means that the disk, quota or store is full.
	ErrFull = errors.New("the file store is full")
	// ErrUnavailable means that the store cannot be reached or does not work now; try later.
	ErrUnavailable = errors.New("the file store cannot be reached")
	// ErrTooLarge means that an upload is larger than its limit.
	ErrTooLarge = errors.New("the file is too large")
)

// Blobs stores bytes under names: two or more of A-Z a-z 0-9 _ -, optionally followed by ".preview". Any other name is
// an error. A blob is never changed in place, so a reader of one that is replaced or deleted meanwhile either gets the
// old bytes or an error, never a mixture. Safe for concurrent use.
type Blobs interface {
	// Put stores the size bytes of r under name, replacing an existing blob. They are durable when it returns. After an
	// error the previous blob is unchanged. It returns ErrFull or ErrUnavailable if that is the reason; an error of r,
	// or fewer than size bytes, is an error too.
	Put(ctx context.Context, name string, r io.Reader, size int64) error
	// Open returns a reader at the beginning of the blob, which the caller must close, or ErrNotFound or
	// ErrUnavailable. The end of ctx ends the reader too.
	Open(ctx context.Context, name string) (Blob, error)
	// Delete removes the blob; it is not an error if it does not exist.
	Delete(ctx context.Context, name string) error
	// List yields every blob in byte order of its name, and stops after the first error. It may or may not include
	// blobs that are added or removed meanwhile.
	List(ctx context.Context) iter.Seq2[Info, error]
	// Ready returns nil if blobs can be stored now.
	Ready(ctx context.Context) error
}

// Blob reads one blob. http.ServeContent can serve it, ranges included. Not safe for concurrent use.
type Blob interface {
	io.ReadSeekCloser
	Size() int64
}

// Info describes a stored blob.
type Info struct {
	Name    string
	Size    int64
	ModTime time.Time // when it was stored, by the store's clock
}

// Open opens the blobs at url: the folder "files" in dataDir if url is empty, or s3://bucket/prefix?endpoint=&region=,
// where endpoint is host:port or http(s)://host:port (Amazon's by default) and the keys come from AWS's usual variables
// (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY). An unreachable S3 store is not an error here; each call reports it.
func Open(_ context.Context, dataDir, url string) (Blobs, error) {
	if url != "" {
		s, err := openS3(url)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	f, err := openFolder(filesDir(dataDir))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// PreviewName returns the name of the preview of the file with that id.
func PreviewName(id string) string { return id + previewSuffix }

const previewSuffix = ".preview"

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{2,128}$`)

func validName(name string) bool {
	return nameForm.MatchString(strings.TrimSuffix(name, previewSuffix))
}

func checkName(name string) error {
	if !validName(name) {
		return fmt.Errorf("files: %q is not the name of a blob", name)
	}
	return nil
}
