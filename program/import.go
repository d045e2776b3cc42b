package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"tandem/chat"
	"tandem/files"
	"tandem/imports"
)

// ImportOptions configures an import.
type ImportOptions struct {
	Name   string // of the import: nothing imported under one name is imported again
	DryRun bool   // only report what would be imported
}

// ImportReport says what was imported.
type ImportReport struct {
	People, Matched  int // accounts created, and existing ones
	Rooms, RoomsHere int
	Messages, Here   int // imported now, and earlier
	Threads          int // replies among those imported
	Private          int // private messages among them
	Files            int
	Reactions        int
	Pins             int
	Renamed          []string       // renamed rooms
	LeftOut          map[string]int // what was left out, by kind
}

// importBatch is the number of messages written in one transaction.
const importBatch = 100

// importer is the Sink of an import. It keeps people and rooms in memory, and the messages of one batch.
type importer struct {
	ctx     context.Context
	admin   *Admin
	options ImportOptions
	report  ImportReport
	blobs   files.Blobs
	ingest  *files.Ingester

	people  map[string]chat.User
	made    map[string]bool // people whose accounts this run created
	rooms   map[string]chat.Room
	byID    map[int64]chat.Room
	gone    map[string]bool   // rooms that were deleted after they were imported
	renamed map[string]string // foreign names of people whose local name differs
	batch   []chat.Imported
}

// Import imports a source. After an error, what was imported before it stays, and is skipped when the import is
// repeated.
func (a *Admin) Import(ctx context.Context, from imports.Source, options ImportOptions) (ImportReport, error) {
	i := &importer{
		ctx: ctx, admin: a, options: options, people: map[string]chat.User{}, made: map[string]bool{}, rooms: map[string]chat.Room{}, byID: map[int64]chat.Room{},
		gone: map[string]bool{}, renamed: map[string]string{}, report: ImportReport{LeftOut: map[string]int{}},
	}
	var err error
	if i.blobs, err = files.Open(ctx, a.settings.DataDir, a.settings.FilesURL); err != nil {
		return i.report, err
	}
	if i.ingest, err = files.NewIngester(a.settings.DataDir, slog.New(slog.DiscardHandler)); err != nil {
		return i.report, err
	}
	if err = from.Each(i); err == nil {
		err = i.flush()
	}
	return i.report, err
}

// LeftOut implements imports.Sink.
func (i *importer) LeftOut(what string) { i.report.LeftOut[what]++ }

// Message implements imports.Sink.
func (i *importer) Message(m imports.Message) error {
	if !i.options.DryRun {
		// Before its files are stored again.
		if id, err := i.admin.store.Imported(i.ctx, i.options.Name, "message/"+m.Key); err != nil {
			return err
		} else if id != 0 {
			i.report.Here++
			return nil
		}
	}
	out := chat.Imported{
		Key: m.Key, Text: i.renameIn(m.Text), At: m.At, Edited: m.Edited, Deleted: m.Deleted, Thread: m.Thread, ReplyTo: m.ReplyTo, Marks: m.Marks,
		Draft: chat.Draft{Data: m.Data, Nonce: m.Nonce},
	}
	var err error
	if m.Bot != "" {
		out.Author.Name, out.Via = m.Bot, chat.ViaInlet
	} else if out.Author, _, err = i.person(m.Author, m.Author); err != nil {
		return err
	}
	var topic chat.Topic
	if m.Room != "" {
		room, ok := i.rooms[m.Room]
		if !ok {
			i.LeftOut("messages of rooms that are not here")
			return nil
		}
		out.Room, topic = room, chat.RoomTopic(room.ID)
	} else {
		if out.To, _, err = i.person(m.To, m.To); err != nil {
			return err
		}
		if out.Author.ID == 0 {
			i.LeftOut("private messages of bots")
			return nil
		}
		topic = chat.ConversationTopic(out.Author.ID, out.To.ID)
	}
	for _, f := range m.Files {
		if len(out.Files) == chat.MaxFiles { // before the bytes of more are stored
			i.LeftOut("files beyond the tenth of a message")
			continue
		}
		file, err := i.file(f, topic)
		if err != nil {
			return err
		}
		if file != nil {
			out.Files = append(out.Files, *file)
		} else if !m.Deleted {
			out.Text = strings.TrimSpace(out.Text + "\n📎 " + f.Name)
		}
	}
	for _, r := range m.Reactions {
		u, _, err := i.person(r.Person, r.Person)
		if err != nil {
			return err
		}
		out.Reactions = append(out.Reactions, chat.ImportedReaction{User: u, Emoji: r.Emoji})
	}
	without, err := chat.PrepareImported(&out)
	for _, what := range without {
		i.LeftOut(what)
	}
	switch {
	case errors.Is(err, chat.ErrMessageEmpty):
		i.LeftOut("messages of which nothing is left")
		return nil
	case errors.Is(err, chat.ErrMessageTooBig):
		i.LeftOut(fmt.Sprintf("ends of messages beyond %d characters", chat.MaxMessage))
		out.Text = string([]rune(out.Text)[:chat.MaxMessage-1]) + "…"
		if _, err = chat.PrepareImported(&out); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("a message of %s at %s: %w", m.Author, m.At, err)
	}
	i.batch = append(i.batch, out)
	if len(i.batch) == importBatch {
		return i.flush()
	}
	return nil
}

// flush writes the batch.
func (i *importer) flush() error {
	batch := i.batch
	i.batch = i.batch[:0]
	results := make([]chat.ImportResult, len(batch))
	if i.options.DryRun {
		for n := range results {
			results[n].New = true
		}
	} else if len(batch) > 0 {
		var err error
		if results, err = i.admin.rooms.Import(i.ctx, i.admin.store, i.options.Name, batch); err != nil {
			return err
		}
	}
	for n, m := range batch {
		if !results[n].New {
			i.report.Here++
			continue
		}
		i.report.Messages++
		i.report.Files += len(m.Files)
		i.report.Reactions += len(m.Reactions)
		if results[n].NoThread {
			i.LeftOut("threads whose first message is not here; what was answered is in the main line")
		} else if m.Thread != "" {
			i.report.Threads++
		}
		if m.Room.ID == 0 {
			i.report.Private++
		}
	}
	return nil
}

// Pin implements imports.Sink.
func (i *importer) Pin(key string) error {
	if err := i.flush(); err != nil {
		return err
	}
	if i.options.DryRun {
		i.report.Pins++
		return nil
	}
	pinned, err := i.admin.store.ImportPin(i.ctx, i.options.Name, key, func(m chat.Event) (chat.Event, error) {
		author, err := i.admin.store.User(i.ctx, m.Author)
		if m.Topic.IsRoom() {
			room := i.byID[m.Topic.Number()]
			author, err = i.admin.store.UserNamed(i.ctx, room.CreatedBy)
			return chat.ImportedPin(room, author, chat.User{}, m.ID, time.Now()), err
		}
		if err != nil {
			return chat.Event{}, err
		}
		other, err := i.admin.store.User(i.ctx, m.Topic.Number())
		return chat.ImportedPin(chat.Room{}, author, other, m.ID, time.Now()), err
	})
	switch {
	case errors.Is(err, chat.ErrNoMessage), errors.Is(err, chat.ErrUserNotFound), errors.Is(err, chat.ErrLimitReached):
		i.LeftOut("pins of messages that are not here, or are too many")
		return nil
	case err != nil:
		return err
	}
	if pinned {
		i.report.Pins++
	}
	return nil
}
