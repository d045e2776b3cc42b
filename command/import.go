package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"tandem/imports"
	"tandem/program"
)

type importCommand struct {
	data   `embed:""`
	From   string `arg:"" enum:"tandem,slack,mattermost" help:"The format of the export: tandem, slack or mattermost."`
	File   string `arg:"" type:"existingfile" help:"The export: the output of tandem export, Slack's zip, or Mattermost's bulk export, .jsonl or the zip with it."`
	Files  string `type:"existingdir" placeholder:"DIR" help:"For tandem: the folder passed to the export's --files."`
	Name   string `placeholder:"NAME" help:"A name for the import: data imported under the same name is not imported again. By default the format; set it to import two sites of one product."`
	DryRun bool   `help:"Only print what would be imported."`
}

// Run prints what was imported and what was left out.
func (c *importCommand) Run() error {
	var from imports.Source
	var err error
	switch c.From {
	case "slack":
		from, err = imports.OpenSlack(c.File)
	case "mattermost":
		from, err = imports.OpenMattermost(c.File)
	default:
		from, err = imports.OpenTandem(c.File, c.Files)
	}
	if err != nil {
		return err
	}
	if c.Name == "" {
		c.Name = c.From
	}
	open := program.OpenOrCreateAdmin
	if c.DryRun {
		open = program.OpenAdmin
	}
	err = c.withContext(context.Background(), open, func(ctx context.Context, a *program.Admin) error {
		report, err := a.Import(ctx, from, program.ImportOptions{Name: c.Name, DryRun: c.DryRun})
		printImport(os.Stdout, report, c.DryRun)
		if err != nil {
			err = fmt.Errorf("%w; what was imported so far stays, and is not imported again when you repeat the import", err)
		}
		return err
	})
	return errors.Join(err, from.Close())
}

func printImport(to io.Writer, r program.ImportReport, dry bool) {
	if dry {
		fmt.Fprintln(to, "Dry run: nothing is written. This would be imported:")
	}
	for _, line := range []struct {
		n    int
		what string
	}{
		{r.People, "people"}, {r.Matched, "people who have an account here"}, {r.Rooms, "rooms"}, {r.RoomsHere, "rooms imported earlier"},
		{r.Messages, "messages"}, {r.Private, "of them private"}, {r.Threads, "of them in threads"}, {r.Here, "messages imported earlier"},
		{r.Files, "files"}, {r.Reactions, "reactions"}, {r.Pins, "pins"},
	} {
		fmt.Fprintf(to, "%8d  %s\n", line.n, line.what)
	}
	if len(r.Renamed) > 0 {
		fmt.Fprintf(to, "\nRenamed:\n  %s\n", strings.Join(r.Renamed, "\n  "))
	}
	if len(r.LeftOut) > 0 {
		fmt.Fprintln(to, "\nLeft out:")
		for _, what := range slices.Sorted(maps.Keys(r.LeftOut)) {
			fmt.Fprintf(to, "%8d  %s\n", r.LeftOut[what], what)
		}
	}
}
