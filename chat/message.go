package chat

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxMessage is the longest message, in characters.
const MaxMessage = 4000

// Draft is a message before it is posted.
type Draft struct {
	Text  string          // at most MaxMessage characters, valid UTF-8 without U+0000; kept as sent
	Data  json.RawMessage // an object of at most MaxData bytes; nil for none
	Files []string        // ids, MaxFiles at most
	Nonce string          // echoed to everyone; at most 64 characters
	Key   string          // the Idempotency-Key, empty for none; at most 128 printable ASCII characters

	ReplyTo int64 // the id of a message in the same room or conversation; 0 for none
	Thread  int64 // the first message of the thread it is posted in; 0 for none

	attached []File // the resolved Files
	marks    []string
}

// Message is a message on its way into the log, with what the store keeps next to its event.
type Message struct {
	Event
	Mentions []int64  // the numbers of the users it mentions, which can include Everybody
	Files    []string // the ids of the files it takes

	// Apart is the minimum time since its author's last message in the room; 0 for none.
	Apart time.Duration
	// Report is the reason if a hook reports it; else empty.
	Report string
}

// Edit is an edit of a message on its way into the log.
type Edit struct {
	Event
	TextChanged bool    // the text changed; Mentions are those of the new text
	Mentions    []int64 // as in Message
	Report      string  // as in Message
}

func checkText(s string) error {
	switch {
	case !utf8.ValidString(s):
		return invalid("message", "a message must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		return invalid("message", "a message cannot contain U+0000")
	case len(s) > MaxMessage && utf8.RuneCountInString(s) > MaxMessage:
		return ErrMessageTooBig
	}
	return nil
}

// prepare checks d and brings it into the form in which it is stored. An invisible text counts as empty.
func (d *Draft) prepare() (err error) {
	if err := checkText(d.Text); err != nil {
		return err
	}
	if d.Data, err = prepareData("data", d.Data, MaxData); err != nil {
		return err
	}
	if showsNothing(d.Text) {
		if d.Data == nil && len(d.Files) == 0 {
			return ErrMessageEmpty
		}
		d.Text = ""
	}
	if !utf8.ValidString(d.Nonce) || len(d.Nonce) > 64 && utf8.RuneCountInString(d.Nonce) > 64 {
		return invalid("nonce", "a nonce can have at most 64 characters")
	}
	if err := checkFiles(d.Files); err != nil {
		return err
	}
	return checkKey(d.Key)
}

func checkKey(key string) error {
	wrong := len(key) > 128
	for i := range len(key) {
		wrong = wrong || key[i] < ' ' || key[i] > '~'
	}
	if wrong {
		return invalid("Idempotency-Key", "an idempotency key must have 1 to 128 printable ASCII characters")
	}
	return nil
}

// fingerprint tells different bodies under the same idempotency key apart.
func (d *Draft) fingerprint() []byte {
	// Only a nonce can contain U+0000; it comes last.
	sum := sha256.Sum256([]byte(d.Text + "\x00" + d.Nonce))
	if d.ReplyTo != 0 {
		sum = sha256.Sum256(binary.BigEndian.AppendUint64(sum[:], uint64(d.ReplyTo)))
	}
	// Fields that were added later do not change the fingerprints of messages without them.
	if d.Thread != 0 {
		sum = sha256.Sum256(fmt.Appendf(sum[:], "thread %d", d.Thread))
	}
	if d.Data != nil {
		sum = sha256.Sum256(fmt.Appendf(sum[:], "data %s", d.Data))
	}
	if len(d.Files) > 0 {
		sum = sha256.Sum256(fmt.Appendf(sum[:], "files %q", d.Files))
	}
	return sum[:16]
}

// key returns what the store keeps of the draft's Idempotency-Key, nil without one.
func (d *Draft) key() *Key {
	if d.Key == "" {
		return nil
	}
	return &Key{Name: d.Key, Fingerprint: d.fingerprint()}
}

// text is the body of every event that carries a message's text, and of a message in history. Its fields are in wire
// order.
type text struct {
	Room      string `json:"room,omitempty"`
	MessageID int64  `json:"message_id,omitempty"`
	User      string `json:"user"`
	Via       string `json:"via,omitempty"`
	Target    string `json:"target,omitempty"`
	Message   string `json:"message"`

	Data        json.RawMessage `json:"data,omitempty"`
	Files       []File          `json:"files,omitempty"`
	Mentions    []string        `json:"mentions,omitempty"`
	MentionsAll bool            `json:"mentions_all,omitempty"`
	Thread      json.RawMessage `json:"thread,omitempty"` // a number, or a root's ThreadState
	Marks       []string        `json:"marks,omitempty"`  // from a before-post hook

	SentAt  string `json:"sent_at"`
	Nonce   string `json:"nonce,omitempty"`
	ReplyTo int64  `json:"reply_to,omitempty"`

	EditedAt  string     `json:"edited_at,omitempty"`
	Deleted   bool       `json:"deleted,omitempty"`
	Reactions []Reaction `json:"reactions,omitempty"`
}

// body equals body(t), assembled by hand because every post needs one. Data has no white space between its tokens.
func (t *text) body() string {
	if t.MessageID != 0 || t.EditedAt != "" || t.Deleted || t.Reactions != nil || t.Files != nil || t.Marks != nil {
		return body(t)
	}
	b := make([]byte, 0, len(t.Message)+len(t.Data)+len(t.Room)+len(t.User)+len(t.Target)+len(t.Nonce)+160)
	if t.Room != "" {
		b = append(appendString(append(b, `"room":`...), t.Room), ',')
	}
	b = appendString(append(b, `"user":`...), t.User)
	if t.Via != "" {
		b = appendString(append(b, `,"via":`...), t.Via)
	}
	if t.Target != "" {
		b = appendString(append(b, `,"target":`...), t.Target)
	}
	b = appendString(append(b, `,"message":`...), t.Message)
	if len(t.Data) > 0 {
		b = append(append(b, `,"data":`...), t.Data...)
	}
	for i, name := range t.Mentions {
		start := `,"mentions":[`
		if i > 0 {
			start = `,`
		}
		b = appendString(append(b, start...), name)
	}
	if len(t.Mentions) > 0 {
		b = append(b, ']')
	}
	if t.MentionsAll {
		b = append(b, `,"mentions_all":true`...)
	}
	if len(t.Thread) > 0 {
		b = append(append(b, `,"thread":`...), t.Thread...)
	}
	b = appendString(append(b, `,"sent_at":`...), t.SentAt)
	if t.Nonce != "" {
		b = appendString(append(b, `,"nonce":`...), t.Nonce)
	}
	if t.ReplyTo != 0 {
		b = strconv.AppendInt(append(b, `,"reply_to":`...), t.ReplyTo, 10)
	}
	return string(append(b, '}'))
}

func parseText(e Event) (t text, err error) {
	err = json.Unmarshal([]byte("{"+e.Body), &t)
	return t, err
}

// Scrub removes what the author provided from an event whose message was deleted. It keeps its place, including the
// thread.
func Scrub(e Event) (Event, error) {
	t, err := parseText(e)
	t.Message, t.Data, t.Files, t.Mentions, t.MentionsAll, t.Marks, t.Nonce, t.Deleted = "", nil, nil, nil, false, nil, "", true
	e.Body = body(t)
	return e, err
}

// ScrubJSON is Scrub for an event's finished JSON, if it has the text of this message.
func ScrubJSON(typ string, id int64, json []byte, message int64) ([]byte, bool) {
	switch typ {
	case TypeChatMessage, TypePrivateMessage:
		if id != message {
			return nil, false
		}
	case TypeDelivered, TypeMessageEdited:
	default:
		return nil, false
	}
	e := Event{ID: id, Type: typ}
	e.Body = string(json[len(e.JSON()):]) // without a body, it is the part before one
	if id != message {
		if t, err := parseText(e); err != nil || t.MessageID != message {
			return nil, false
		}
	}
	scrubbed, err := Scrub(e)
	return scrubbed.JSON(), err == nil
}

// DeletedMessage returns the message that a message_deleted is about.
func DeletedMessage(e Event) (int64, error) {
	t, err := parseText(e)
	return t.MessageID, err
}

// File is a file as events show it.
type File struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Size    int64  `json:"size"` // in bytes
	Type    string `json:"type"` // its media type
	Width   int    `json:"width,omitempty"`
	Height  int    `json:"height,omitempty"`
	Preview bool   `json:"preview"`
}

// text returns the draft's text by user.
func (d *Draft) text(user User, m Mentions, at time.Time) text {
	t := text{
		User: user.Name, Message: d.Text, Data: d.Data, Files: d.attached, Mentions: m.Names, MentionsAll: m.All, Marks: d.marks,
		SentAt: FormatTime(at), Nonce: d.Nonce, ReplyTo: d.ReplyTo,
	}
	if d.Thread != 0 {
		t.Thread = strconv.AppendInt(nil, d.Thread, 10)
	}
	return t
}

// chatMessage returns the event of a message in a room.
func chatMessage(room Room, user User, d *Draft, m Mentions, at time.Time) Message {
	t := d.text(user, m, at)
	t.Room = room.Name
	return Message{
		Event:    Event{Topic: RoomTopic(room.ID), Type: TypeChatMessage, Author: user.ID, Thread: d.Thread, Body: t.body()},
		Mentions: m.users, Files: d.Files,
	}
}

// privateMessage returns the event of a private message in its target's inbox.
func privateMessage(user, target User, d *Draft, m Mentions, at time.Time) Message {
	t := d.text(user, m, at)
	t.Target = target.Name
	return Message{Event: Event{
		Topic:  InboxTopic(target.ID),
		Also:   ConversationTopic(user.ID, target.ID),
		Type:   TypePrivateMessage,
		Author: user.ID,
		Thread: d.Thread,
		Body:   t.body(),
	}, Files: d.Files}
}

// delivered returns the event of a private message in its sender's inbox. Its id follows the message's.
func delivered(user, target User, d *Draft, m Mentions, at time.Time, message int64) Event {
	t := d.text(user, m, at)
	t.MessageID, t.Target = message, target.Name
	return Event{Topic: InboxTopic(user.ID), Type: TypeDelivered, Author: user.ID, Body: body(t)}
}

// memberAdded returns the event of user making target a member or changing target's role.
func memberAdded(room Room, user, target User, role Role, at time.Time) Event {
	return Event{
		Topic:  RoomTopic(room.ID),
		Also:   InboxTopic(target.ID),
		Type:   TypeMemberAdded,
		Author: user.ID,
		Body: body(struct {
			Room   string `json:"room"`
			User   string `json:"user"`
			Target string `json:"target"`
			Role   Role   `json:"role"`
			SentAt string `json:"sent_at"`
		}{room.Name, user.Name, target.Name, role, FormatTime(at)}),
	}
}

// FormatTime formats t for the wire: RFC 3339, UTC, milliseconds.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
