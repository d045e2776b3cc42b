package terminal

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"

	"tandem/client"
)

// Rooms is tandem rooms.
type Rooms struct {
	Server `embed:""`
	JSON   bool `name:"json" help:"Print each room as a line of JSON."`
}

// aRoom is the printed part of a room.
type aRoom struct {
	Name       string
	Title      string
	Visibility string
	Role       string
	Online     int
	Unread     int
	Mentions   int
}

// Run lists the rooms that the user can see.
func (r *Rooms) Run() error {
	return r.with(func(ctx context.Context, c *client.Client) error {
		table := newTable("ROOM", "UNREAD", "MENTIONS", "ONLINE", "YOU", "TITLE")
		err := list(ctx, c, "/v1/rooms", func(raw json.RawMessage) error {
			if r.JSON {
				return printJSON(raw)
			}
			var room aRoom
			if err := json.Unmarshal(raw, &room); err != nil {
				return err
			}
			table.row(room.Name, count(room.Unread), count(room.Mentions), count(room.Online), room.Role, room.Title)
			return nil
		})
		if r.JSON {
			return err
		}
		return table.end(err)
	})
}

// list lists the conversations.
func (p *Private) list(ctx context.Context, c *client.Client) error {
	table := newTable("WITH", "UNREAD")
	err := list(ctx, c, "/v1/private", func(raw json.RawMessage) error {
		if p.JSON {
			return printJSON(raw)
		}
		var with struct {
			Username string
			Unread   int
		}
		if err := json.Unmarshal(raw, &with); err != nil {
			return err
		}
		table.row(with.Username, count(with.Unread))
		return nil
	})
	if p.JSON {
		return err
	}
	return table.end(err)
}

// list calls f with each item of all pages of a list.
func list(ctx context.Context, c *client.Client, path string, f func(json.RawMessage) error) error {
	query := url.Values{"limit": {"100"}}
	for {
		var page struct {
			Items []json.RawMessage
			Next  json.RawMessage
		}
		if err := get(ctx, c, path, query, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := f(item); err != nil {
				return err
			}
		}
		next := string(page.Next)
		if text, err := strconv.Unquote(next); err == nil {
			next = text
		}
		if next == "" || next == "null" {
			return nil
		}
		query.Set("after", next)
	}
}

func printJSON(raw json.RawMessage) error {
	line := string(raw)
	if onTerminal(os.Stdout) {
		line = plainJSON(line)
	}
	_, err := fmt.Println(line)
	return err
}

func count(n int) string {
	switch {
	case n == 0:
		return "-"
	case n >= 1000:
		return "1000+"
	}
	return strconv.Itoa(n)
}

// table aligns its columns; for programs, columns are separated by tabs, without a heading.
type table struct {
	to      *tabwriter.Writer
	heading bool
	columns []string
}

func newTable(columns ...string) *table {
	return &table{tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0), onTerminal(os.Stdout), columns}
}

func (t *table) row(cells ...string) {
	if t.columns != nil && t.heading {
		t.line(t.columns)
	}
	t.columns = nil
	t.line(cells)
}

func (t *table) line(cells []string) {
	for i, cell := range cells {
		end := "\t"
		if i == len(cells)-1 {
			end = "\n"
		}
		if t.heading {
			_, _ = fmt.Fprint(t.to, Plain(cell), end) // Flush returns the error
		} else {
			_, _ = fmt.Print(Plain(cell), end)
		}
	}
}

func (t *table) end(err error) error {
	if err != nil {
		return err
	}
	return t.to.Flush()
}
