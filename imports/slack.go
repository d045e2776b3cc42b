package imports

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Slack is the export of a Slack workspace: a zip with a folder of days for each conversation. Slack leaves out the
// files' bytes; if another tool has added them, at __uploads/ID/NAME, they are used.
type Slack struct {
	zip   *zip.ReadCloser
	rooms map[string]string // names of channels, for texts
	bots  map[string]bool   // those passed already
}

// OpenSlack opens an export.
func OpenSlack(file string) (*Slack, error) {
	z, err := zip.OpenReader(file)
	return &Slack{zip: z, rooms: map[string]string{}, bots: map[string]bool{}}, err
}

// Close implements Source.
func (x *Slack) Close() error { return x.zip.Close() }

type slackUser struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Deleted bool   `json:"deleted"`
	Profile struct {
		RealName    string `json:"real_name"`
		DisplayName string `json:"display_name"`
	} `json:"profile"`
}

type slackChannel struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Created int64    `json:"created"`
	Creator string   `json:"creator"`
	Members []string `json:"members"`
	Topic   struct {
		Value string `json:"value"`
	} `json:"topic"`
	Purpose struct {
		Value string `json:"value"`
	} `json:"purpose"`
	Pins []struct {
		ID      string `json:"id"` // of the message: its ts
		Created int64  `json:"created"`
	} `json:"pins"`

	private bool
	direct  bool // between two, or with oneself
}

type slackMessage struct {
	Type     string `json:"type"`
	Subtype  string `json:"subtype"`
	TS       string `json:"ts"`
	User     string `json:"user"`
	Username string `json:"username"`
	BotID    string `json:"bot_id"`
	Text     string `json:"text"`
	ThreadTS string `json:"thread_ts"`
	Edited   *struct {
		TS string `json:"ts"`
	} `json:"edited"`
	Files []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		Mode string `json:"mode"`
	} `json:"files"`
	Attachments []struct {
		Fallback string `json:"fallback"`
		Text     string `json:"text"`
	} `json:"attachments"`
	Reactions []struct {
		Name  string   `json:"name"`
		Users []string `json:"users"`
		Count int      `json:"count"`
	} `json:"reactions"`
	BotProfile struct {
		Name string `json:"name"`
	} `json:"bot_profile"`
}

// Each implements Source.
func (x *Slack) Each(s Sink) error {
	if err := slackList(x, "users.json", func(u slackUser) error {
		display := u.Profile.DisplayName
		if display == "" {
			display = u.Profile.RealName
		}
		return s.Person(Person{Key: u.ID, Name: u.Name, DisplayName: display, Disabled: u.Deleted})
	}); err != nil {
		return err
	}
	var all []slackChannel
	for _, list := range []struct {
		file            string
		private, direct bool
	}{{"channels.json", false, false}, {"groups.json", true, false}, {"mpims.json", true, false}, {"dms.json", true, true}} {
		err := slackList(x, list.file, func(c slackChannel) error {
			c.private, c.direct = list.private, list.direct
			all = append(all, c)
			x.rooms[c.ID] = c.Name
			return nil
		})
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && list.file != "channels.json") {
			return err
		}
	}
	days := x.days()
	for _, c := range all {
		if err := x.channel(s, c, days); err != nil {
			return err
		}
	}
	return nil
}

// days lists the message files of each folder, in order.
func (x *Slack) days() map[string][]string {
	days := map[string][]string{}
	for _, f := range x.zip.File {
		if dir, name := path.Split(f.Name); dir != "" && strings.Count(dir, "/") == 1 && path.Ext(name) == ".json" {
			days[path.Clean(dir)] = append(days[path.Clean(dir)], f.Name)
		}
	}
	for _, names := range days {
		slices.Sort(names) // 2026-11-20.json
	}
	return days
}

func (x *Slack) channel(s Sink, c slackChannel, days map[string][]string) error {
	folder := c.Name
	if c.direct {
		folder = c.ID
		if len(c.Members) == 0 || len(c.Members) > 2 {
			s.LeftOut("conversations that do not say between whom")
			return nil
		}
	} else {
		r := Room{Key: c.ID, Name: c.Name, Title: slackTitle(c), Private: c.private, CreatedBy: c.Creator, CreatedAt: time.Unix(c.Created, 0)}
		for _, m := range c.Members {
			role := "member"
			if m == c.Creator {
				role = "owner"
			}
			r.Members = append(r.Members, Member{Person: m, Role: role, Since: r.CreatedAt})
		}
		if err := s.Room(r); err != nil {
			return err
		}
	}
	for _, day := range days[folder] {
		if err := slackList(x, day, func(m slackMessage) error { return x.message(s, c, m) }); err != nil {
			return err
		}
	}
	slices.SortStableFunc(c.Pins, func(a, b struct {
		ID      string `json:"id"`
		Created int64  `json:"created"`
	}) int {
		return int(a.Created - b.Created)
	})
	for _, p := range c.Pins {
		if err := s.Pin(slackKey(c.ID, p.ID)); err != nil {
			return err
		}
	}
	return nil
}

// slackTitle returns a channel's topic on one line of at most 200 characters.
func slackTitle(c slackChannel) string {
	title := c.Topic.Value
	if title == "" {
		title = c.Purpose.Value
	}
	return oneLine(slackEscapes.Replace(title), 200)
}

// oneLine puts a text on one line, cut to most characters.
func oneLine(s string, most int) string {
	runes := []rune(strings.Join(strings.Fields(s), " "))
	return strings.TrimSpace(string(runes[:min(len(runes), most)]))
}

func slackKey(channel, ts string) string { return channel + "/" + ts }

// slackTime parses a ts: seconds and microseconds.
func slackTime(ts string) (time.Time, error) {
	seconds, err := strconv.ParseFloat(ts, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no ts", ts)
	}
	return time.UnixMilli(int64(math.Floor(seconds * 1000))), nil
}

// Messages with these subtypes have an author; the others report what happened in the channel.
var slackSaid = []string{"", "bot_message", "file_share", "me_message", "thread_broadcast", "file_comment", "reply_broadcast"}

func (x *Slack) message(s Sink, c slackChannel, m slackMessage) error {
	switch {
	case m.Subtype == "tombstone":
		s.LeftOut("messages that were deleted")
		return nil
	case !slices.Contains(slackSaid, m.Subtype):
		s.LeftOut("notices, such as of people who joined")
		return nil
	}
	at, err := slackTime(m.TS)
	if err != nil {
		return err
	}
	out := Message{Key: slackKey(c.ID, m.TS), Author: m.User, Text: x.text(s, m.Text), At: at}
	if out.Author == "" {
		if out.Author, err = x.bot(s, m); err != nil {
			return err
		}
	}
	if c.direct {
		out.To = c.Members[0]
		if out.To == out.Author {
			out.To = c.Members[len(c.Members)-1]
		}
	} else {
		out.Room = c.ID
	}
	if m.ThreadTS != "" && m.ThreadTS != m.TS {
		out.Thread = slackKey(c.ID, m.ThreadTS)
	}
	if m.Edited != nil {
		if out.Edited, err = slackTime(m.Edited.TS); err != nil {
			return err
		}
	}
	for _, a := range m.Attachments { // of apps, often their only content
		text := a.Text
		if text == "" {
			text = a.Fallback
		}
		if out.Text == "" {
			out.Text = x.text(s, text)
		}
	}
	for _, f := range m.Files {
		if f.Mode == "tombstone" {
			s.LeftOut("files that were deleted")
			continue
		}
		out.Files = append(out.Files, File{Name: f.Name, Open: x.upload(f.ID)})
	}
	for _, r := range m.Reactions {
		emoji := emojiNamed(r.Name)
		if emoji == "" {
			s.LeftOut("reactions with emoji of their own")
			continue
		}
		for _, who := range r.Users {
			out.Reactions = append(out.Reactions, Reaction{who, emoji})
		}
		for range r.Count - len(r.Users) {
			s.LeftOut("reactions of people whom the export does not name")
		}
	}
	return s.Message(out)
}

// bot returns the key of the sender of a message that is not a user's. It gets an account that nobody can log in to.
func (x *Slack) bot(s Sink, m slackMessage) (string, error) {
	name := firstOf(m.Username, m.BotProfile.Name, m.BotID, "bot")
	key := "bot/" + name
	if x.bots[key] {
		return key, nil
	}
	x.bots[key] = true
	return key, s.Person(Person{Key: key, Name: name, DisplayName: oneLine(name, 64), Disabled: true})
}

// upload finds the bytes of a file.
func (x *Slack) upload(id string) func() (io.ReadCloser, error) {
	for _, f := range x.zip.File {
		if id != "" && strings.HasPrefix(f.Name, "__uploads/"+id+"/") && !strings.HasSuffix(f.Name, "/") {
			return f.Open
		}
	}
	return nil
}

// slackList decodes a file that is a list, one element at a time.
func slackList[T any](x *Slack, name string, f func(T) error) error {
	file, err := x.zip.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	d := json.NewDecoder(file)
	open, err := d.Token()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if open != json.Delim('[') {
		return fmt.Errorf("%s is not a list", name)
	}
	for d.More() {
		var v T
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := f(v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
