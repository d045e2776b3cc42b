package program

import (
	"errors"
	"math"

	"tandem/chat"
	"tandem/files"
	"tandem/imports"
)

// file stores the bytes of a file; nil if there are none.
func (i *importer) file(f imports.File, topic chat.Topic) (*chat.StoredFile, error) {
	if f.Open == nil {
		i.LeftOut("files whose bytes the export does not have")
		return nil, nil
	}
	if i.options.DryRun {
		return &chat.StoredFile{File: chat.File{ID: chat.NewFileID(), Name: f.Name}}, nil
	}
	from, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer from.Close()
	limit := i.admin.settings.LimitFileSize
	if limit == 0 { // none
		limit = math.MaxInt64 - 1
	}
	in, err := i.ingest.Receive(i.ctx, from, f.Name, limit)
	if errors.Is(err, files.ErrTooLarge) {
		i.LeftOut("files beyond limit-file-size")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	stored := &chat.StoredFile{
		File:  chat.File{ID: chat.NewFileID(), Name: in.Name, Size: in.Size, Type: in.Type, Width: in.Width, Height: in.Height, Preview: in.Preview},
		Topic: topic,
	}
	return stored, errors.Join(in.Keep(i.ctx, i.blobs, stored.ID), in.Discard())
}
