package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
)

// s3Puts is how many blobs are sent to the store at once. A connection uses about 100 KiB, and more are not faster.
const s3Puts = 32

// S3 stores blobs in a bucket of an S3-compatible store, as PREFIX/NAME.
type S3 struct {
	client minio.Core
	bucket string
	prefix string // empty, or with a slash at its end
	puts   chan struct{}
	seen   atomic.Bool // the bucket exists, so what is missing is a blob
}

var _ Blobs = (*S3)(nil)

// Put implements Blobs: the store replaces a blob once it has all of the new one.
func (s *S3) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := checkName(name); err != nil {
		return err
	}
	select {
	case s.puts <- struct{}{}:
		defer func() { <-s.puts }()
	case <-ctx.Done():
		return ctx.Err()
	}
	source := &sourceReader{r: r, left: size}
	var body io.Reader = source
	if _, ok := r.(*os.File); ok {
		body = r // can be repeated
	}
	// One request, streamed: parts would be held in memory.
	options := minio.PutObjectOptions{ContentType: unknownType, DisableMultipart: true}
	// An empty body needs no signatures of its parts, and over plain HTTP the client ends such a request with bytes
	// that the store takes for the next one.
	options.DisableContentSha256 = size == 0
	_, err := s.client.Client.PutObject(ctx, s.bucket, s.prefix+name, body, size, options)
	if err != nil && source.err != nil {
		err = source.err
	} else {
		err = s3Error(ctx, err)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	return nil
}

// sourceReader remembers that the reader failed, not the store.
type sourceReader struct {
	r    io.Reader
	left int64
	err  error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	switch {
	case err == io.EOF && s.left > 0:
		s.err = io.ErrUnexpectedEOF
		return n, s.err
	case err != nil && err != io.EOF:
		s.err = err
	}
	return n, err
}

// Open implements Blobs.
func (s *S3) Open(ctx context.Context, name string) (Blob, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	info, err := s.client.StatObject(ctx, s.bucket, s.prefix+name, minio.StatObjectOptions{})
	err = s3Error(ctx, err)
	if errors.Is(err, ErrNotFound) && !s.seen.Load() {
		// The response to HEAD does not distinguish a missing blob from a missing bucket.
		if ready := s.Ready(ctx); ready != nil {
			err = ready
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	s.seen.Store(true)
	return &s3Blob{ctx: ctx, s: s, key: s.prefix + name, etag: info.ETag, size: info.Size}, nil
}

// Delete implements Blobs.
func (s *S3) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	err := s3Error(ctx, s.client.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}

// List implements Blobs.
func (s *S3) List(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		for o := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true}) {
			if o.Err != nil {
				yield(Info{}, fmt.Errorf("list the files: %w", s3Error(ctx, o.Err)))
				return
			}
			name := strings.TrimPrefix(o.Key, s.prefix)
			if !validName(name) {
				continue // not ours
			}
			if !yield(Info{Name: name, Size: o.Size, ModTime: o.LastModified}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Info{}, err)
		}
	}
}

// Ready implements Blobs: the bucket exists and this client can see it. Whether it can write there only shows when it
// does.
func (s *S3) Ready(ctx context.Context) error {
	found, err := s.client.BucketExists(ctx, s.bucket)
	if err := s3Error(ctx, err); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: there is no bucket %s", ErrUnavailable, s.bucket)
	}
	s.seen.Store(true)
	return nil
}

// s3Error translates an error of the client. A store that refuses us counts as unavailable.
func s3Error(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	// Not errors.As: the client wraps nothing, and its own function knows all of its kinds.
	answer := minio.ToErrorResponse(err)
	switch answer.Code {
	case "NoSuchKey":
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case "QuotaExceeded", "StorageFull", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	if answer.StatusCode == http.StatusInsufficientStorage {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err // the URL contains a signature
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// s3Blob reads a blob with requests for everything after its position, sent when it is read there.
type s3Blob struct {
	ctx  context.Context // of Open, which ends the blob
	s    *S3
	key  string
	etag string
	size int64
	at   int64
	body io.ReadCloser // what follows at; nil until it is requested
}

func (b *s3Blob) Size() int64 { return b.size }

func (b *s3Blob) Read(p []byte) (int, error) {
	if b.at >= b.size {
		return 0, io.EOF
	}
	// A broken connection is replaced once per piece that it delivered: stores close those of slow readers.
	for first := true; ; first = false {
		n, err := b.readOn(p)
		if n > 0 || len(p) == 0 {
			b.at += int64(n)
			return n, nil
		}
		if err == nil {
			continue
		}
		b.drop()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err = s3Error(b.ctx, err); !first || !errors.Is(err, ErrUnavailable) {
			return 0, fmt.Errorf("read %s: %w", b.key, err)
		}
	}
}

func (b *s3Blob) readOn(p []byte) (int, error) {
	if b.body == nil {
		var o minio.GetObjectOptions
		if err := o.SetMatchETag(b.etag); err != nil { // so that it stays the same blob
			return 0, err
		}
		if b.at > 0 {
			if err := o.SetRange(b.at, 0); err != nil {
				return 0, err
			}
		}
		body, _, _, err := b.s.client.GetObject(b.ctx, b.s.bucket, b.key, o)
		if err != nil {
			return 0, err
		}
		b.body = body
	}
	return b.body.Read(p)
}

func (b *s3Blob) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.size
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return 0, fmt.Errorf("seek %s: %w", b.key, os.ErrInvalid)
	}
	if offset != b.at {
		b.drop()
		b.at = offset
	}
	return offset, nil
}

func (b *s3Blob) drop() {
	if b.body != nil {
		_ = b.body.Close()
		b.body = nil
	}
}

func (b *s3Blob) Close() error {
	b.drop()
	return nil
}
