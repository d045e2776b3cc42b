package chat

import (
	"slices"
	"time"
)

// Visibility says who may see a room.
type Visibility string

// Posting says who may post into a room.
type Posting string

// Role is what a member may do in a room; empty for who is no member.
type Role string

// The values of Visibility, Posting and Role.
const (
	Public  Visibility = "public"
	Private Visibility = "private"

	PostingEveryone Posting = "everyone"
	PostingAdmins   Posting = "admins" // owners, moderators and the site's admins

	RoleOwner     Role = "owner"
	RoleModerator Role = "moderator"
	RoleMember    Role = "member"
)

// Room is a room's row.
type Room struct {
	ID         int64
	Name       string // prepared
	Title      string
	Visibility Visibility
	Posting    Posting
	CreatedBy  string
	CreatedAt  time.Time
	NameSince  int64 // the id of the event that deleted the last room that had the name before; 0 if none had
	Version    int64 // grows with every change that may take a right from someone
}

// RoomView is a room as one user sees it.
type RoomView struct {
	Room
	Role   Role  // the viewer's
	Banned bool  // the viewer is
	Admin  bool  // the viewer is one of the whole site
	LastID int64 // of its latest message; 0 where there is none
	Unread int   // messages of others behind the viewer's marker, up to MaxUnread; filled by Service
}

// Member is somebody's membership.
type Member struct {
	Name   string
	Role   Role // empty for who is no member
	Banned bool
	Since  time.Time
}

// Ban is a user's being banned from a room.
type Ban struct {
	Name  string
	By    string
	Since time.Time
}

// RoomChange is what is to become of a room; nil leaves a thing as it is.
type RoomChange struct {
	Title      *string
	Visibility *Visibility
	Posting    *Posting
}

// User is an account's row, as far as the rules look at it.
type User struct {
	ID       int64
	Name     string // prepared
	Admin    bool   // of the whole site
	Disabled bool
	Version  int64 // grows with every change that may take a right from the user
}

// Viewer is who asks: a user, in a session, for as long as their token lasts.
type Viewer struct {
	User    int64
	Name    string
	Session int64
	Expires time.Time // zero: never
	Script  bool      // an API token, which does not reach accounts
	Only    []int64   // the rooms that the token is limited to; nil for no limit
	Address string    // whose limits somebody without an account shares; their User is 0
}

// Reaches tells whether the viewer's token is good for a room.
func (v Viewer) Reaches(room int64) bool { return v.Only == nil || slices.Contains(v.Only, room) }

// checkTitle returns an *Invalid for what is no title; a room may be without.
func checkTitle(s string) error {
	if s == "" {
		return nil
	}
	return CheckLabel("title", s, 200)
}
