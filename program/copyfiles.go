package program

import (
	"context"
	"errors"
	"strings"

	"tandem/files"
)

// CopyFiles copies the bytes of all files that messages and avatars have, and returns how many it has copied and of how
// many the bytes are not there. They go to the folder files in to, as a data directory has it, or to an S3-compatible
// store, s3://…, as files-url has it. Files of private messages are among them if private is set. What is there already is
// not copied again, since the bytes of a file never change.
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
					missing++
					break
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
