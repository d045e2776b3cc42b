package imports

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Mattermost is a bulk export: JSON lines, or the zip from `mmctl export` that also has the files, in data/.
type Mattermost struct {
	lines io.ReadCloser
	zip   *zip.ReadCloser // nil if the lines are a separate file
	files map[string]*zip.File
	dir   string // of the file with the lines; attachments are below it
}

// OpenMattermost opens an export.
func OpenMattermost(file string) (*Mattermost, error) {
	if !strings.EqualFold(filepath.Ext(file), ".zip") {
		lines, err := os.Open(file)
		return &Mattermost{lines: lines, dir: filepath.Dir(file)}, err
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, err
	}
	x := &Mattermost{zip: z, files: map[string]*zip.File{}}
	for _, f := range z.File {
		x.files[path.Clean(f.Name)] = f
		if x.lines == nil && path.Ext(f.Name) == ".jsonl" {
			if x.lines, err = f.Open(); err != nil {
				return nil, errors.Join(err, z.Close())
			}
		}
	}
	if x.lines == nil {
		return nil, errors.Join(fmt.Errorf("%s has no file .jsonl", file), z.Close())
	}
	return x, nil
}

// Close implements Source.
func (x *Mattermost) Close() error {
	err := x.lines.Close()
	if x.zip != nil {
		err = errors.Join(err, x.zip.Close())
	}
	return err
}

type mattermostLine struct {
	Type    string `json:"type"`
	Channel *struct {
		Team        string `json:"team"`
		Name        string `json:"name"`
		DisplayName string `json:"display_name"`
		Type        string `json:"type"` // O is open, P private
		Header      string `json:"header"`
	} `json:"channel"`
	User *struct {
		Username  string `json:"username"`
		Nickname  string `json:"nickname"`
		FirstName string `json:"first_name"`
		LastName  string `json:"last_name"`
		DeleteAt  int64  `json:"delete_at"`
		Teams     []struct {
			Name     string `json:"name"`
			Channels []struct {
				Name  string `json:"name"`
				Roles string `json:"roles"`
			} `json:"channels"`
		} `json:"teams"`
	} `json:"user"`
	Bot *struct {
		Username    string `json:"username"`
		DisplayName string `json:"display_name"`
	} `json:"bot"`
	Post          *mattermostPost `json:"post"`
	DirectPost    *mattermostPost `json:"direct_post"`
	DirectChannel *struct {
		Members []string `json:"members"`
	} `json:"direct_channel"`
}

type mattermostPost struct {
	Team     string   `json:"team"`
	Channel  string   `json:"channel"`
	Members  []string `json:"channel_members"`
	User     string   `json:"user"`
	Type     string   `json:"type"`
	Message  string   `json:"message"`
	CreateAt int64    `json:"create_at"`
	EditAt   int64    `json:"edit_at"`
	DeleteAt int64    `json:"delete_at"`
	IsPinned bool     `json:"is_pinned"`

	Reactions []struct {
		User      string `json:"user"`
		EmojiName string `json:"emoji_name"`
	} `json:"reactions"`
	Replies     []mattermostPost `json:"replies"`
	Attachments []struct {
		Path string `json:"path"`
	} `json:"attachments"`
}

// Each implements Source.
func (x *Mattermost) Each(s Sink) error {
	groups := map[string]bool{} // conversations of more than two, which become rooms here
	group := func(members []string) (string, error) {
		key := "group/" + strings.Join(members, ",")
		if groups[key] {
			return key, nil
		}
		groups[key] = true
		sum := sha256.Sum256([]byte(key))
		r := Room{Key: key, Name: "group-" + hex.EncodeToString(sum[:4]), Title: oneLine(strings.Join(members, ", "), 200), Private: true}
		for _, m := range members {
			r.Members = append(r.Members, Member{Person: m, Role: "member"})
		}
		return key, s.Room(r)
	}
	return eachLine(x.lines, func(l mattermostLine) error {
		switch {
		case l.Channel != nil:
			title := l.Channel.DisplayName
			if title == "" {
				title = l.Channel.Header
			}
			return s.Room(Room{Key: l.Channel.Team + "/" + l.Channel.Name, Name: l.Channel.Name, Title: oneLine(title, 200), Private: l.Channel.Type == "P"})
		case l.User != nil:
			u := l.User
			p := Person{Key: u.Username, Name: u.Username, DisplayName: u.Nickname, Disabled: u.DeleteAt > 0}
			if p.DisplayName == "" {
				p.DisplayName = strings.TrimSpace(u.FirstName + " " + u.LastName)
			}
			if err := s.Person(p); err != nil {
				return err
			}
			for _, t := range u.Teams {
				for _, c := range t.Channels {
					role := "member"
					if strings.Contains(c.Roles, "channel_admin") {
						role = "owner"
					}
					if err := s.Member(t.Name+"/"+c.Name, Member{Person: u.Username, Role: role}); err != nil {
						return err
					}
				}
			}
			return nil
		case l.Bot != nil:
			return s.Person(Person{Key: l.Bot.Username, Name: l.Bot.Username, DisplayName: l.Bot.DisplayName})
		case l.Post != nil:
			return x.post(s, *l.Post, Message{Room: l.Post.Team + "/" + l.Post.Channel}, nil, "")
		case l.DirectChannel != nil:
			if len(l.DirectChannel.Members) > 2 {
				_, err := group(l.DirectChannel.Members)
				return err
			}
			return nil
		case l.DirectPost != nil:
			p := l.DirectPost
			if n := len(p.Members); n == 0 {
				s.LeftOut("conversations that do not say between whom")
				return nil
			} else if n > 2 {
				key, err := group(p.Members)
				if err != nil {
					return err
				}
				return x.post(s, *p, Message{Room: key}, nil, "")
			}
			return x.post(s, *p, Message{}, p.Members, "")
		case l.Type == "emoji":
			s.LeftOut("emoji that the site had made")
		}
		return nil // version, team, role, scheme
	})
}

// post passes a post and then its replies. Posts have no ids; place, author, time and text identify them.
func (x *Mattermost) post(s Sink, p mattermostPost, m Message, between []string, root string) error {
	if strings.HasPrefix(p.Type, "system_") {
		s.LeftOut("notices, such as of people who joined")
		return nil
	}
	if p.DeleteAt > 0 {
		s.LeftOut("messages that were deleted")
		return nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d %q", m.Room, between, p.User, p.CreateAt, p.Message))
	m.Key, m.Author, m.Text, m.At, m.Thread = hex.EncodeToString(sum[:12]), p.User, p.Message, time.UnixMilli(p.CreateAt), root
	if len(between) > 0 {
		if m.To = between[0]; m.To == p.User {
			m.To = between[len(between)-1]
		}
	}
	if p.EditAt > 0 {
		m.Edited = time.UnixMilli(p.EditAt)
	}
	for _, a := range p.Attachments {
		m.Files = append(m.Files, x.file(a.Path))
	}
	for _, r := range p.Reactions {
		if emoji := emojiNamed(r.EmojiName); emoji == "" {
			s.LeftOut("reactions with emoji of their own")
		} else {
			m.Reactions = append(m.Reactions, Reaction{r.User, emoji})
		}
	}
	err := s.Message(m)
	if err == nil && p.IsPinned {
		err = s.Pin(m.Key)
	}
	for _, reply := range p.Replies {
		if err != nil {
			break
		}
		err = x.post(s, reply, Message{Room: m.Room}, between, m.Key)
	}
	return err
}

// file opens an attachment, in data/ of the zip, or below the folder of the lines. A path cannot lead out of it.
func (x *Mattermost) file(name string) File {
	clean := path.Clean("/" + filepath.ToSlash(name))[1:]
	f := File{Name: path.Base(clean)}
	for _, at := range []string{clean, path.Join("data", clean)} {
		if packed, ok := x.files[at]; ok {
			f.Open = packed.Open
			return f
		}
		if x.zip != nil {
			continue
		}
		if full := filepath.Join(x.dir, filepath.FromSlash(at)); isFile(full) {
			f.Open = func() (io.ReadCloser, error) { return os.Open(full) }
			return f
		}
	}
	return f
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}
