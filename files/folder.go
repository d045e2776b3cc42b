package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// Folder stores blobs in a local folder: NAME is in a subfolder named by its first two characters, so that no folder
// has too many entries.
type Folder struct {
	root    string
	staging *staging
}

var _ Blobs = (*Folder)(nil)

func filesDir(dataDir string) string { return filepath.Join(dataDir, "files") }

func openFolder(root string) (*Folder, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("open the files folder: %w", err)
	}
	return &Folder{root: root, staging: newStaging(root)}, nil
}

func (f *Folder) shard(name string) string { return filepath.Join(f.root, name[:2]) }
func (f *Folder) path(name string) string  { return filepath.Join(f.shard(name), name) }

// Put implements Blobs.
func (f *Folder) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := checkName(name); err != nil {
		return err
	}
	tmp, err := f.staging.create()
	if err != nil {
		return fmt.Errorf("put %s: %w", name, full(err))
	}
	defer os.Remove(tmp.Name()) // gone after a rename
	n, err := io.Copy(tmp, io.LimitReader(readerOf(ctx, r), size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("put %s: %w", name, full(err))
	}
	return f.adopt(tmp.Name(), name)
}

// adopt stores the file at path, on the same file system, under name, and removes it from path.
func (f *Folder) adopt(path, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	err := f.staging.syncs.await(func() error {
		if err := syncPath(path); err != nil {
			return err
		}
		if err := f.makeShard(name); err != nil {
			return err
		}
		if err := os.Rename(path, f.path(name)); err != nil {
			return err
		}
		// A rename is durable once the folder is synced.
		return syncDir(f.shard(name))
	})
	if err != nil {
		return fmt.Errorf("put %s: %w", name, full(err))
	}
	return nil
}

func (f *Folder) makeShard(name string) error {
	err := os.Mkdir(f.shard(name), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(f.root)
}

// Open implements Blobs.
func (f *Folder) Open(_ context.Context, name string) (Blob, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	file, err := os.Open(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w", name, ErrNotFound)
	} else if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &folderBlob{File: file, size: info.Size()}, nil
}

type folderBlob struct {
	*os.File
	size int64
}

func (b *folderBlob) Size() int64 { return b.size }

// Delete implements Blobs.
func (f *Folder) Delete(_ context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	err := os.Remove(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(f.shard(name))
	}
	return err
}

// List implements Blobs.
func (f *Folder) List(ctx context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		shards, err := os.ReadDir(f.root)
		if err != nil {
			yield(Info{}, err)
			return
		}
		for _, shard := range shards {
			if len(shard.Name()) != 2 || !shard.IsDir() {
				continue
			}
			entries, err := os.ReadDir(filepath.Join(f.root, shard.Name()))
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Info{}, err)
				return
			}
			for _, e := range entries {
				if !validName(e.Name()) || !strings.HasPrefix(e.Name(), shard.Name()) {
					continue // not ours
				}
				info, err := e.Info()
				if errors.Is(err, fs.ErrNotExist) {
					continue // deleted meanwhile
				}
				if err != nil {
					yield(Info{}, err)
					return
				}
				if !yield(Info{Name: e.Name(), Size: info.Size(), ModTime: info.ModTime()}, nil) {
					return
				}
			}
		}
	}
}

// Ready implements Blobs.
func (f *Folder) Ready(context.Context) error {
	tmp, err := f.staging.create()
	if err != nil {
		return full(err)
	}
	defer os.Remove(tmp.Name())
	// Some file systems create an empty file without room for its first block.
	_, err = tmp.Write(make([]byte, 4096))
	return full(errors.Join(err, tmp.Close()))
}

func syncPath(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// readerOf returns r until ctx ends.
func readerOf(ctx context.Context, r io.Reader) io.Reader { return &contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context // of one call, whose end it is
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
