// Package imports reads exports from other chats: Slack's zip of JSON, Mattermost's bulk JSON lines, and the output of
// `tandem export`. A Source passes users, rooms and messages to a Sink one after the other. Where the format allows, it
// passes a thing before anything that refers to it. It keeps no messages in memory. The package has no goroutines and
// imports no other package of tandem.
package imports

import (
	"encoding/json"
	"io"
	"time"
)

// Source is an export that can be read.
type Source interface {
	// Each passes everything to s, and returns the first error from s.
	Each(s Sink) error
	Close() error
}

// Sink receives what a Source contains. Keys are the other product's own, and identify things of one kind.
type Sink interface {
	Person(Person) error
	// Username returns the local name of a person already passed; "" for others.
	Username(person string) string
	Room(Room) error
	// Member adds a person to a room already passed.
	Member(room string, m Member) error
	Message(Message) error
	// Pin pins a message. Messages pinned first come first.
	Pin(message string) error
	// LeftOut counts what the source has and tandem does not.
	LeftOut(what string)
}

// Person is an account in the other product.
type Person struct {
	Key         string
	Name        string // the name there, which need not be a valid username here
	DisplayName string
	Avatar      *File
	Data        json.RawMessage
	Disabled    bool
}

// Room is a room in the other product.
type Room struct {
	Key       string
	Name      string // need not be a valid room name here
	Title     string
	Private   bool
	ReadOnly  bool   // only admins may post
	CreatedBy string // a person's key; "" if unknown
	CreatedAt time.Time
	Members   []Member

	Receipts  bool
	SlowMode  int
	Retention int64
}

// Member is a person's membership in a room.
type Member struct {
	Person string // a key
	Role   string // owner, moderator or member
	Since  time.Time
}

// Message is a message in a room or to one person.
type Message struct {
	Key    string
	Room   string // the key of a room, or
	To     string // of a person
	Author string // the key of a person
	Bot    string // instead of Author: the name of an inlet
	Text   string
	At     time.Time

	Edited  time.Time // zero if it was not edited
	Deleted bool      // the message keeps its place, without text
	Thread  string    // the key of its thread's root
	ReplyTo string
	Data    json.RawMessage
	Nonce   string
	Marks   []string

	Files     []File
	Reactions []Reaction
}

// File is a file of a message, or an avatar.
type File struct {
	Name string
	// Open returns its bytes; nil if the export does not have them.
	Open func() (io.ReadCloser, error)
}

// Reaction is one person's reaction.
type Reaction struct {
	Person string // a key
	Emoji  string
}
