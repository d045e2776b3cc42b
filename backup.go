package main

import (
	"bufio"
	"context"
	"errors"
	"os"

	"tandem/program"
)

type exportCommand struct {
	data    `embed:""`
	Private bool `help:"Private messages too."`
}

// Run writes to standard output.
func (c *exportCommand) Run() error {
	return c.withContext(context.Background(), func(ctx context.Context, a *program.Admin) error {
		to := bufio.NewWriterSize(os.Stdout, 64<<10)
		return errors.Join(a.Export(ctx, to, c.Private), to.Flush())
	})
}

type backupCommand struct {
	data `embed:""`
	File string `arg:"" type:"path" help:"Where to put it; it must not be there yet. To restore it, make it tandem.db in an empty data directory."`
}

func (c *backupCommand) Run() error {
	return c.withContext(context.Background(), func(ctx context.Context, a *program.Admin) error { return a.Backup(ctx, c.File) })
}
