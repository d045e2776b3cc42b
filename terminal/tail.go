package terminal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/client"
)

// following has the options of tail and private for following.
type following struct {
	Server    `embed:""`
	History   int    `short:"n" default:"20" help:"How many messages to print first, 0 to 100 per room."`
	JSON      bool   `name:"json" help:"Print each event as a line of JSON, as the server sent it."`
	Presence  bool   `help:"Also print who joins and leaves; with --json, all events that are not in the log."`
	Transport string `default:"auto" enum:"auto,ws,sse,sse-post,ndjson,poll" help:"How to receive events: ws, sse, sse-post, ndjson or poll. With auto, the first that works."`
}

// Tail is tandem tail.
type Tail struct {
	following `embed:""`
	Rooms     []string `arg:"" name:"room" predictor:"room" help:"The rooms to follow; '*' for all rooms that you are a member of."`
	Since     string   `placeholder:"CURSOR" help:"Start after this cursor, instead of --history."`
	Cursor    string   `type:"path" placeholder:"FILE" help:"Save the cursor in this file, and start from it if the file exists, to print what was missed since the last run."`
	Private   bool     `help:"Also print private messages."`
}

// Help is shown by --help.
func (*Tail) Help() string {
	return `Prints the latest messages, then new ones as they arrive. If the connection is cut, tandem reconnects and continues
where it was: nothing is lost and nothing is printed twice. It ends when the rooms are gone or the login has ended.`
}

// Run follows.
func (t *Tail) Run() error {
	return t.with(func(ctx context.Context, c *client.Client) error {
		p := t.printer()
		all := slices.Contains(t.Rooms, "*")
		p.rooms = len(t.Rooms) > 1 || all || t.Private
		f := t.follower(c)
		f.Rooms, f.Since = t.Rooms, t.Since
		if t.Cursor != "" && t.Since == "" {
			kept, err := os.ReadFile(t.Cursor)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			f.Since = strings.TrimSpace(string(kept))
		}
		var me string
		var left []string // of the followed rooms
		f.Handle = func(e client.Event) error {
			if e.Type == "stream_open" {
				me, left = e.User, slices.Clone(e.Rooms)
				for _, name := range e.Lost {
					fmt.Fprintf(os.Stderr, "%s can no longer be followed.\n", Plain(name))
				}
			}
			ours := e.Room != "" && (all || slices.Contains(left, e.Room)) || e.Room == "" && (t.Private || !about(e))
			if ours {
				if err := p.Print(e); err != nil {
					return err
				}
			}
			if t.Cursor != "" && f.Cursor() != "" && (e.ID > 0 || e.Type == "stream_open" || e.Type == "stream_reset") {
				if err := client.WriteFile(t.Cursor, []byte(f.Cursor()+"\n")); err != nil {
					return err
				}
			}
			if e.Type == "room_deleted" || e.Type == "member_removed" && e.Target == me && !readable(ctx, c, e.Room) {
				left = slices.DeleteFunc(left, func(r string) bool { return r == e.Room })
			}
			if len(left) == 0 && !all {
				return errors.New("there is no room left to follow")
			}
			return nil
		}
		return f.Run(ctx)
	})
}

// readable reports whether the user can see a room, as with a public one after leaving it.
func readable(ctx context.Context, c *client.Client, name string) bool {
	err := get(ctx, c, room(name), nil, nil)
	return err == nil || client.Passing(err)
}

// about reports whether an event without a room is about a conversation, rather than the stream.
func about(e client.Event) bool { return e.User != "" && e.Target != "" }

func (w *following) printer() *printer {
	p := newPrinter(w.JSON)
	p.presence = w.Presence
	return p
}

func (w *following) follower(c *client.Client) *client.Follower {
	f := &client.Follower{Client: c, History: w.History, Trouble: func(err error, wait time.Duration) {
		fmt.Fprintf(os.Stderr, "The stream is down (%s); retrying in %s.\n", Plain(err.Error()), wait.Round(100*time.Millisecond))
	}}
	if w.Transport != "auto" {
		f.Transports = []client.Transport{client.Transport(w.Transport)}
	}
	return f
}

// conversation prints the latest messages with a user, then follows.
func (w *following) conversation(ctx context.Context, c *client.Client, name string) error {
	var who struct{ Username string }
	if err := get(ctx, c, "/v1/users/"+url.PathEscape(name), nil, &who); err != nil {
		return err
	}
	p, f := w.printer(), w.follower(c)
	f.History = 0
	var printed int64
	f.Handle = func(e client.Event) error {
		if e.Type == "stream_open" && !e.Resumed {
			// The stream is open already, so that nothing is lost between history and live events.
			page, err := w.page(ctx, c, who.Username)
			if err != nil {
				return err
			}
			for _, m := range page {
				if err := p.Print(m); err != nil {
					return err
				}
				printed = max(printed, m.ID)
			}
		}
		with := e.User == who.Username || e.Target == who.Username
		message := e.MessageID // for private_message_delivered, the message's id, as in the history
		if e.Type == "private_message" {
			message = e.ID
		}
		seen := (e.Type == "private_message" || e.Type == "private_message_delivered") && message <= printed
		if e.Room != "" || about(e) && !with || seen || !about(e) && e.Type != "stream_reset" {
			return nil
		}
		return p.Print(e)
	}
	return f.Run(ctx)
}

// page returns the latest messages with a user.
func (w *following) page(ctx context.Context, c *client.Client, name string) ([]client.Event, error) {
	if w.History == 0 {
		return nil, nil
	}
	var page struct{ Items []rawEvent }
	err := get(ctx, c, user(name)+"/messages", url.Values{"limit": {strconv.Itoa(min(w.History, 100))}}, &page)
	events := make([]client.Event, len(page.Items))
	for i, item := range page.Items {
		events[i] = client.Event(item)
	}
	return events, err
}

// rawEvent is an event with its JSON.
type rawEvent client.Event

func (r *rawEvent) UnmarshalJSON(text []byte) error {
	e, err := client.ParseEvent(slices.Clone(text))
	*r = rawEvent(e)
	return err
}

// Post is tandem post.
type Post struct {
	Server  `embed:""`
	Room    string   `arg:"" predictor:"room" help:"The room to post to."`
	Message []string `arg:"" optional:"" help:"The message; read from standard input if omitted or '-'."`
	sending `embed:""`
	Enter   bool `help:"Join the room first; create it if it does not exist."`
}

// Help is shown by --help.
func (*Post) Help() string {
	return `If there is no answer, or the server is busy, tandem retries with the same Idempotency-Key until --timeout has passed,
so that the message is posted once.`
}

// Run posts.
func (p *Post) Run() error {
	return p.with(func(ctx context.Context, c *client.Client) error {
		if p.Enter {
			if err := p.insist(ctx, c, client.Call{Method: http.MethodPut, Path: room(p.Room)}, nil); err != nil {
				return err
			}
		}
		return p.send(ctx, c, room(p.Room), p.Message)
	})
}

// Private is tandem private.
type Private struct {
	following `embed:""`
	Name      string   `arg:"" optional:"" predictor:"user" help:"The other user; without it, conversations are listed."`
	Message   []string `arg:"" optional:"" help:"The message to send; '-' reads it from standard input. Without it, the conversation is printed and followed."`
	sending   `embed:""`
}

// Run lists, follows or sends.
func (p *Private) Run() error {
	return p.with(func(ctx context.Context, c *client.Client) error {
		switch {
		case p.Name == "":
			return p.list(ctx, c)
		case len(p.Message) == 0 && len(p.File) == 0 && !p.Lines:
			return p.conversation(ctx, c, p.Name)
		}
		return p.send(ctx, c, user(p.Name), p.Message)
	})
}

// fileName returns the name of an uploaded file.
func fileName(path string) string { return filepath.Base(path) }
