package terminal

import (
	"bufio"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"time"

	"tandem/client"
)

// printer prints events for people, or as lines of JSON.
type printer struct {
	to       *bufio.Writer
	json     bool
	presence bool // also print joins and leaves
	rooms    bool // print the room's name
	colour   bool
	terminal bool

	day    string
	recent map[int64]client.Event // recently printed messages, to quote what is edited or deleted
	order  []int64
}

func newPrinter(asJSON bool) *printer {
	return &printer{
		to: bufio.NewWriter(os.Stdout), json: asJSON, colour: inColour(os.Stdout), terminal: onTerminal(os.Stdout),
		recent: map[int64]client.Event{},
	}
}

// remembered is how many messages recent keeps.
const remembered = 1000

// Print prints an event. It is written when Print returns.
func (p *printer) Print(e client.Event) error {
	line := ""
	if p.json {
		if e.ID > 0 || e.Type == "stream_reset" || p.presence && e.Type != "ping" {
			line = string(e.Raw)
			if p.terminal {
				line = plainJSON(line)
			}
		}
	} else if text := p.text(e); text != "" {
		line = p.when(e) + p.where(e) + text
	}
	if line == "" {
		return nil
	}
	_, _ = p.to.WriteString(line)
	_ = p.to.WriteByte('\n')
	return p.to.Flush() // it returns their errors too
}

// text returns the event in words; empty if it is not shown.
func (p *printer) text(e client.Event) string {
	switch e.Type {
	case "chat_message", "private_message", "private_message_delivered":
		if e.Deleted {
			return ""
		}
		text := p.name(e.User) + p.thread(e) + ": " + p.body(e)
		id := e.ID
		if e.MessageID > 0 {
			id = e.MessageID // of private_message_delivered
		}
		p.remember(id, e)
		return text
	case "message_edited":
		text := p.name(e.User) + p.faint(" edited"+p.was(e.MessageID)+":") + " " + p.body(e)
		if old, ok := p.recent[e.MessageID]; ok {
			old.Message = e.Message
			p.recent[e.MessageID] = old
		}
		return text
	case "message_deleted":
		if _, shown := p.recent[e.MessageID]; !shown {
			return ""
		}
		return p.name(e.User) + p.faint(" deleted a message"+p.by(e.MessageID, e.User)+p.was(e.MessageID))
	case "reaction_added":
		return p.name(e.User) + p.faint(" reacted "+Plain(e.Emoji)+p.was(e.MessageID))
	case "reaction_removed":
		return p.name(e.User) + p.faint(" took back "+Plain(e.Emoji)+p.was(e.MessageID))
	case "message_pinned":
		return p.name(e.User) + p.faint(" pinned a message"+p.was(e.MessageID))
	case "message_unpinned":
		return p.name(e.User) + p.faint(" unpinned a message"+p.was(e.MessageID))
	case "member_added":
		by := ""
		if e.User != e.Target {
			by = " (by " + Plain(e.User) + ")"
		}
		return p.name(e.Target) + p.faint(" is now "+Plain(e.Role)+" of "+Plain(e.Room)+by)
	case "member_removed":
		if e.User == e.Target {
			return p.name(e.User) + p.faint(" left "+Plain(e.Room)+" for good")
		}
		return p.name(e.User) + p.faint(" removed ") + p.name(e.Target) + p.faint(" from "+Plain(e.Room))
	case "room_updated":
		return p.name(e.User) + p.faint(" changed the settings of "+Plain(e.Room))
	case "room_deleted":
		return p.name(e.User) + p.faint(" deleted the room "+Plain(e.Room))
	case "custom_event":
		return p.name(e.User) + p.faint(" sent "+Plain(e.Name)+" "+Plain(string(e.Data)))
	case "stream_reset":
		return p.faint("--- some events are missing here: the server no longer has them ---")
	}
	if !p.presence {
		return ""
	}
	switch e.Type {
	case "user_list":
		names := make([]string, len(e.Users))
		for i, u := range e.Users {
			names[i] = Plain(u)
		}
		more := ""
		if e.Count > len(names) {
			more = fmt.Sprintf(" and %d more", e.Count-len(names))
		}
		return p.faint("here: " + strings.Join(names, ", ") + more)
	case "user_join":
		return p.name(e.User) + p.faint(" came")
	case "user_leave":
		return p.name(e.User) + p.faint(" went")
	}
	return ""
}

// body returns a message's text and attachments.
func (p *printer) body(e client.Event) string {
	parts := []string{}
	if e.Message != "" {
		parts = append(parts, lines(e.Message))
	}
	if len(e.Data) > 0 && string(e.Data) != "null" {
		parts = append(parts, p.faint("data "+clip(string(e.Data), 200)))
	}
	for _, f := range e.Files {
		parts = append(parts, p.faint(fmt.Sprintf("[%s, %s, /v1/files/%s]", Plain(f.Name), bytesOf(f.Size), Plain(f.ID))))
	}
	return strings.Join(parts, " ")
}

func bytesOf(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// thread returns what a message replies to.
func (p *printer) thread(e client.Event) string {
	switch {
	case e.Thread > 0:
		return p.faint(" in the thread" + p.was(e.Thread))
	case e.ReplyTo > 0:
		return p.faint(" in reply" + p.was(e.ReplyTo))
	}
	return ""
}

// was quotes a message that was printed; others by id.
func (p *printer) was(id int64) string {
	old, ok := p.recent[id]
	if ok && old.Message != "" {
		return " “" + clip(old.Message, 40) + "”"
	}
	return fmt.Sprintf(" (message %d)", id)
}

// by returns whose message another user has deleted.
func (p *printer) by(id int64, who string) string {
	if old := p.recent[id]; old.User != who {
		return " of " + Plain(old.User) + "’s"
	}
	return ""
}

func (p *printer) remember(id int64, e client.Event) {
	e.Raw = nil
	p.recent[id] = e
	if p.order = append(p.order, id); len(p.order) > remembered {
		delete(p.recent, p.order[0])
		p.order = p.order[1:]
	}
}

// when returns the time; on a terminal the time of day, with a line for each new day.
func (p *printer) when(e client.Event) string {
	at := e.SentAt.Local()
	if e.SentAt.IsZero() {
		at = time.Now()
	}
	if !p.terminal {
		return at.Format(time.DateTime) + " "
	}
	day := ""
	if d := at.Format(time.DateOnly); d != p.day {
		p.day = d
		day = p.faint("--- "+d+" ---") + "\n"
	}
	return day + p.faint(at.Format(time.TimeOnly)) + " "
}

func (p *printer) where(e client.Event) string {
	switch {
	case !p.rooms:
		return ""
	case e.Room != "":
		return p.faint("#"+Plain(e.Room)) + " "
	case e.Target != "":
		return p.faint("to "+Plain(e.Target)) + " "
	}
	return ""
}

// name returns a name in the user's colour.
func (p *printer) name(who string) string {
	who = Plain(who)
	if !p.colour {
		return who
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(who)) // never fails
	return fmt.Sprintf("\x1b[1;%dm%s\x1b[0m", 31+h.Sum32()%6, who)
}

func (p *printer) faint(text string) string {
	if !p.colour || text == "" {
		return text
	}
	return "\x1b[2m" + text + "\x1b[0m"
}
