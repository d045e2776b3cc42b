package imports

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Tandem is an export written by `tandem export`.
type Tandem struct {
	lines io.ReadCloser
	files string // the folder given to --files; "" for none
}

// OpenTandem opens an export. files is the folder that was given to its --files; it may be "".
func OpenTandem(file, files string) (*Tandem, error) {
	f, err := os.Open(file)
	return &Tandem{f, files}, err
}

// Close implements Source.
func (x *Tandem) Close() error { return x.lines.Close() }

// tandemLine is a line of any type.
type tandemLine struct {
	Type string `json:"type"`

	// room
	Name       string    `json:"name"`
	Title      string    `json:"title"`
	Visibility string    `json:"visibility"`
	Posting    string    `json:"posting"`
	CreatedBy  string    `json:"created_by"`
	CreatedAt  time.Time `json:"created_at"`
	Members    []struct {
		Username string    `json:"username"`
		Role     string    `json:"role"`
		Since    time.Time `json:"since"`
	} `json:"members"`
	Receipts  bool     `json:"receipts"`
	SlowMode  int      `json:"slow_mode"`
	Retention int64    `json:"retention"`
	Pins      []int64  `json:"pins"`
	Users     []string `json:"users"` // conversation

	// user
	Username    string          `json:"username"`
	DisplayName string          `json:"display_name"`
	Avatar      string          `json:"avatar"`
	Data        json.RawMessage `json:"data"`
	Disabled    bool            `json:"disabled"`

	// chat_message, private_message
	ID      int64  `json:"id"`
	Room    string `json:"room"`
	User    string `json:"user"`
	Via     string `json:"via"`
	Target  string `json:"target"`
	Message string `json:"message"`
	Files   []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"files"`
	Thread    json.RawMessage `json:"thread"` // a number, or, in a root, the state of its thread
	Marks     []string        `json:"marks"`
	SentAt    time.Time       `json:"sent_at"`
	Nonce     string          `json:"nonce"`
	ReplyTo   int64           `json:"reply_to"`
	EditedAt  time.Time       `json:"edited_at"`
	Deleted   bool            `json:"deleted"`
	Reactions []struct {
		Emoji string   `json:"emoji"`
		Count int      `json:"count"`
		Users []string `json:"users"`
	} `json:"reactions"`
}

// Each implements Source.
func (x *Tandem) Each(s Sink) error {
	var pins []string // for all rooms, at most 50 each
	err := eachLine(x.lines, func(l tandemLine) error {
		for i := len(l.Pins) - 1; i >= 0; i-- { // the last one pinned comes first
			pins = append(pins, strconv.FormatInt(l.Pins[i], 10))
		}
		switch l.Type {
		case "room":
			return s.Room(l.room())
		case "user":
			p := Person{Key: l.Username, Name: l.Username, DisplayName: l.DisplayName, Data: l.Data, Disabled: l.Disabled}
			if l.Avatar != "" {
				p.Avatar = x.file(l.Avatar, l.Avatar)
			}
			return s.Person(p)
		case "conversation":
			return nil
		case "chat_message", "private_message":
			return s.Message(x.message(s, l))
		}
		return fmt.Errorf("%q is not a type of line that tandem export writes", l.Type)
	})
	for _, pin := range pins {
		if err == nil {
			err = s.Pin(pin)
		}
	}
	return err
}

func (l *tandemLine) room() Room {
	r := Room{
		Key: l.Name, Name: l.Name, Title: l.Title, Private: l.Visibility == "private", ReadOnly: l.Posting == "admins", CreatedBy: l.CreatedBy,
		CreatedAt: l.CreatedAt, Receipts: l.Receipts, SlowMode: l.SlowMode, Retention: l.Retention,
	}
	for _, m := range l.Members {
		r.Members = append(r.Members, Member{m.Username, m.Role, m.Since})
	}
	return r
}

func (x *Tandem) message(s Sink, l tandemLine) Message {
	m := Message{
		Key: strconv.FormatInt(l.ID, 10), Room: l.Room, To: l.Target, Author: l.User, Text: l.Message, At: l.SentAt, Edited: l.EditedAt,
		Deleted: l.Deleted, Data: l.Data, Nonce: l.Nonce, Marks: l.Marks,
	}
	if l.Via != "" {
		m.Author, m.Bot = "", l.User
	}
	if l.ReplyTo != 0 {
		m.ReplyTo = strconv.FormatInt(l.ReplyTo, 10)
	}
	var root int64
	if len(l.Thread) > 0 && json.Unmarshal(l.Thread, &root) == nil {
		m.Thread = strconv.FormatInt(root, 10)
	}
	for _, f := range l.Files {
		m.Files = append(m.Files, *x.file(f.ID, f.Name))
	}
	for _, r := range l.Reactions {
		for _, who := range r.Users {
			m.Reactions = append(m.Reactions, Reaction{who, r.Emoji})
		}
		for range r.Count - len(r.Users) {
			s.LeftOut("reactions of people whom the export does not name")
		}
	}
	return m
}

// file opens a file in a folder laid out like a data directory.
func (x *Tandem) file(id, name string) *File {
	f := &File{Name: name}
	if len(id) < 2 || x.files == "" {
		return f
	}
	path := filepath.Join(x.files, "files", id[:2], filepath.Base(id))
	if _, err := os.Stat(path); err == nil {
		f.Open = func() (io.ReadCloser, error) { return os.Open(path) }
	}
	return f
}
