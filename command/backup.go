package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"tandem/program"
)

type exportCommand struct {
	data    `embed:""`
	Private bool `help:"Include private messages."`
	copied  `embed:""`
}

// Run writes to standard output.
func (c *exportCommand) Run() error {
	return c.withContext(context.Background(), program.OpenAdmin, func(ctx context.Context, a *program.Admin) error {
		to := bufio.NewWriterSize(os.Stdout, 64<<10)
		return errors.Join(a.Export(ctx, to, c.Private), to.Flush(), c.copy(ctx, a, c.Private))
	})
}

type backupCommand struct {
	data   `embed:""`
	copied `embed:""`
	File   string `arg:"" type:"path" help:"The file to create; it must not exist. To restore it, put it as tandem.db into an empty data directory."`
}

// Run copies the database first: the copy does not know later posts, and does not have files deleted later.
func (c *backupCommand) Run() error {
	return c.withContext(context.Background(), program.OpenAdmin, func(ctx context.Context, a *program.Admin) error {
		if err := a.Backup(ctx, c.File); err != nil {
			return err
		}
		return c.copy(ctx, a, true)
	})
}

// copied reports where the bytes of files are.
type copied struct {
	Files string `placeholder:"DIR" help:"Also copy uploaded files that are not there yet, to the folder files in this one, with the layout of a data directory; or to an S3-compatible store, s3://…, as in --files-url."`
}

func (c copied) copy(ctx context.Context, a *program.Admin, private bool) error {
	if c.Files == "" {
		return nil
	}
	n, missing, err := a.CopyFiles(ctx, c.Files, private)
	fmt.Fprintf(os.Stderr, "%d files copied\n", n)
	if missing > 0 {
		fmt.Fprintf(os.Stderr, "%d files have no bytes: they were just deleted, or are lost\n", missing)
	}
	return err
}
