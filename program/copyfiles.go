package program

import (
	"context"
	"errors"
	"strings"

	"tandem/files"
)

// CopyFiles copies the bytes of all files of messages and avatars, and returns how many it copied and how many are
// missing. The target is the folder files in to, laid out as in a data directory, or an S3-compatible store, s3://…, as in
// files-url. private includes the files of private messages. Existing copies are skipped, since a file's bytes never
// change.
func (a *Admin) CopyFiles(ctx context.Context, to string, private bool) (copied, missing int, err error) {
	from, err := files.Open(ctx, a.settings.DataDir, a.settings.FilesURL)
	if err != nil {
		return 0, 0, err
	}
	folder, url := to, ""
	if strings.HasPrefix(to, "s3://") {
		folder, url = "", to
	}
	target, err := files.Open(ctx, folder, url)
	if err != nil {
		return 0, 0, err
	}
	for after := ""; ; {
		page, err := a.store.FilesAfter(ctx, after, exportPage)
		if err != nil {
			return copied, missing, err
		}
		for _, f := range page {
			after = f.ID
			if f.Topic.IsConversation() && !private {
				continue
			}
			names := []string{f.ID}
			if f.Preview {
				names = []string{files.PreviewName(f.ID), f.ID}
			}
			done := false
			for _, name := range names {
				made, err := copyBlob(ctx, from, target, name)
				if errors.Is(err, files.ErrNotFound) { // deleted meanwhile, or lost
					if name == f.ID {
						missing++
					}
					continue
				}
				if err != nil {
					return copied, missing, err
				}
				done = done || made
			}
			if done {
				copied++
			}
		}
		if len(page) < exportPage {
			return copied, missing, nil
		}
	}
}

// copyBlob reports whether it did not exist before.
func copyBlob(ctx context.Context, from, to files.Blobs, name string) (bool, error) {
	there, err := to.Open(ctx, name)
	if err == nil {
		return false, there.Close()
	}
	if !errors.Is(err, files.ErrNotFound) {
		return false, err
	}
	blob, err := from.Open(ctx, name)
	if err != nil {
		return false, err
	}
	err = to.Put(ctx, name, blob, blob.Size())
	return err == nil, errors.Join(err, blob.Close())
}
