package program

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tandem/chat"
	"tandem/imports"
)

// nobody creates rooms whose creator is unknown.
const nobody = "import"

// Username implements imports.Sink.
func (i *importer) Username(person string) string { return i.people[person].Name }

// Room implements imports.Sink.
func (i *importer) Room(r imports.Room) error {
	if _, ok := i.rooms[r.Key]; ok {
		return nil
	}
	if r.CreatedBy == "" {
		r.CreatedBy = nobody
		if err := i.Person(imports.Person{Key: nobody, Name: nobody, Disabled: true}); err != nil {
			return err
		}
	}
	by, _, err := i.person(r.CreatedBy, r.CreatedBy)
	if err != nil {
		return err
	}
	if r.CreatedAt.IsZero() {
		r.CreatedAt = time.Now()
	}
	room := chat.Room{
		Title: r.Title, Visibility: chat.Public, Posting: chat.PostingEveryone, Receipts: r.Receipts && r.Private, SlowMode: r.SlowMode, Retention: r.Retention,
		CreatedBy: by.Name, CreatedAt: r.CreatedAt,
	}
	if r.Private {
		room.Visibility = chat.Private
	}
	if r.ReadOnly {
		room.Posting = chat.PostingAdmins
	}
	if room.Title != "" && chat.CheckLabel("title", room.Title, 200) != nil {
		room.Title = ""
		i.LeftOut("titles of rooms that cannot be here")
	}
	made := true
	if i.options.DryRun {
		room.ID = int64(len(i.rooms) + 1)
		for room.Name = range roomNames(r.Name) {
			break
		}
	} else if room, made, err = i.admin.store.ImportRoom(i.ctx, i.options.Name, r.Key, room, by.ID, roomNames(r.Name)); errors.Is(err, chat.ErrRoomNotFound) {
		i.LeftOut("rooms that were deleted here")
		i.gone[r.Key] = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("the room %q: %w", r.Name, err)
	}
	if made {
		i.report.Rooms++
	} else {
		i.report.RoomsHere++
	}
	if room.Name != strings.ToLower(r.Name) {
		i.report.Renamed = append(i.report.Renamed, fmt.Sprintf("the room %q is %s", r.Name, room.Name))
	}
	i.rooms[r.Key], i.byID[room.ID] = room, room
	for _, m := range r.Members {
		if err := i.Member(r.Key, m); err != nil {
			return err
		}
	}
	return nil
}

// Member implements imports.Sink.
func (i *importer) Member(room string, m imports.Member) error {
	r, ok := i.rooms[room]
	if !ok {
		if !i.gone[room] {
			i.LeftOut("members of rooms that the export does not have")
		}
		return nil
	}
	u, _, err := i.person(m.Person, m.Person)
	if err != nil || i.options.DryRun {
		return err
	}
	since := m.Since
	if since.IsZero() {
		since = r.CreatedAt
	}
	by, err := i.admin.store.UserNamed(i.ctx, r.CreatedBy)
	if errors.Is(err, chat.ErrUserNotFound) { // deleted since
		by, err = u, nil
	}
	if err != nil {
		return err
	}
	role := chat.Role(m.Role)
	return i.admin.store.ImportMember(i.ctx, i.options.Name, r.ID, u.ID, role, since, chat.ImportedMember(r, by, u, role, since))
}
