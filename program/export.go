package program

import (
	"context"
	"encoding/json"
	"io"

	"tandem/chat"
)

// exportPage is how many rows are read at once.
const exportPage = 500

// exportedRoom is a room's line.
type exportedRoom struct {
	Type       string           `json:"type"` // "room"
	Name       string           `json:"name"`
	Title      string           `json:"title"`
	Visibility chat.Visibility  `json:"visibility"`
	Posting    chat.Posting     `json:"posting"`
	CreatedBy  string           `json:"created_by"`
	CreatedAt  string           `json:"created_at"`
	Members    []exportedMember `json:"members"`
	Receipts   bool             `json:"receipts,omitempty"`
	SlowMode   int              `json:"slow_mode,omitempty"`
	Retention  int64            `json:"retention,omitempty"` // in seconds
	Pins       []int64          `json:"pins,omitempty"`      // the latest pin first
}

type exportedMember struct {
	Username string    `json:"username"`
	Role     chat.Role `json:"role"`
	Since    string    `json:"since"`
}

// Export writes JSON lines: users with a profile or disabled, first, so that an import that is interrupted has disabled
// whom it has created; then every room, with its members and pins, by name; then every message, in order of id, as
// history shows it. With private, it includes private messages and, before them, the pins of conversations.
func (a *Admin) Export(ctx context.Context, to io.Writer, private bool) error {
	lines := json.NewEncoder(to)
	lines.SetEscapeHTML(false)
	if err := a.people(ctx, lines); err != nil {
		return err
	}
	rooms := map[chat.Topic]bool{}
	for after := ""; ; {
		page, err := a.store.AllRooms(ctx, after, exportPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			after, rooms[chat.RoomTopic(r.ID)] = r.Name, true
			line := exportedRoom{
				Type: "room", Name: r.Name, Title: r.Title, Visibility: r.Visibility, Posting: r.Posting,
				CreatedBy: r.CreatedBy, CreatedAt: chat.FormatTime(r.CreatedAt), Receipts: r.Receipts, SlowMode: r.SlowMode, Retention: r.Retention,
			}
			if line.Pins, err = a.pins(ctx, chat.RoomTopic(r.ID)); err != nil {
				return err
			}
			if line.Members, err = a.members(ctx, r.ID); err != nil {
				return err
			}
			if err := lines.Encode(line); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			break
		}
	}
	if private {
		if err := a.conversations(ctx, lines); err != nil {
			return err
		}
	}
	state, err := a.store.Head(ctx)
	if err != nil {
		return err
	}
	for after := int64(0); after < state.Head; { // pinned messages are below the floor, too
		events, err := a.store.ReadAll(ctx, after, state.Head, exportPage)
		if err != nil {
			return err
		}
		if after = state.Head; len(events) == exportPage {
			after = events[exportPage-1].ID
		}
		var messages []chat.Event
		for _, e := range events {
			// The messages of a deleted room are still in the log, but invisible.
			if e.Type == chat.TypeChatMessage && rooms[e.Topic] || e.Type == chat.TypePrivateMessage && private {
				messages = append(messages, e)
			}
		}
		if err := a.rooms.Present(ctx, chat.Viewer{}, messages); err != nil {
			return err
		}
		for _, m := range messages {
			if _, err := to.Write(append(m.JSON(), '\n')); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *Admin) members(ctx context.Context, room int64) ([]exportedMember, error) {
	all := []exportedMember{}
	for after := ""; ; {
		page, err := a.store.Members(ctx, room, after, exportPage)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			after = m.Name
			all = append(all, exportedMember{m.Name, m.Role, chat.FormatTime(m.Since)})
		}
		if len(page) < exportPage {
			return all, nil
		}
	}
}

// Backup writes a consistent copy of the database to file, which must not exist.
func (a *Admin) Backup(ctx context.Context, file string) error { return a.store.Backup(ctx, file) }
