package chat

import (
	"slices"
	"time"
)

// Visibility is who may see a room.
type Visibility string

// Posting is who may post to a room.
type Posting string

// Role is a member's role in a room; empty for non-members.
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
	Receipts   bool // members see how far the others have read; only in private rooms
	SlowMode   int  // seconds between two messages of a user who is not a moderator; 0 for none
	CreatedBy  string
	CreatedAt  time.Time
	Retention  int64 // for how many seconds messages are kept; 0 for the site's setting
	NameSince  int64 // the id of the event that deleted the previous room of this name; 0 if there was none
	Version    int64 // grows with every change that may remove a right
}

// RoomView is a room as one user sees it.
type RoomView struct {
	Room
	Role   Role // the viewer's role
	Banned bool // whether the viewer is banned
	Admin  bool // whether the viewer is a site admin

	BeforePost *BeforePost // is called before each post; nil for none

	MutedUntil time.Time // the end of the viewer's mute, if it is in the future; zero if not muted

	LastID int64 // the latest message; 0 if there is none

	// Counts after the viewer's marker, up to MaxUnread each; filled by Service.
	Unread   int // messages of others, outside threads
	Mentions int // messages that mention the viewer, in threads too

	Level NotifyLevel // set by the viewer; empty for the default
}

// Member is a user's membership.
type Member struct {
	Name   string
	Role   Role // empty for non-members
	Banned bool
	Since  time.Time
}

// Ban is a banned user of a room.
type Ban struct {
	Name  string
	By    string
	Since time.Time
}

// RoomChange is a change to a room; nil fields keep their value.
type RoomChange struct {
	Title      *string
	Visibility *Visibility
	Posting    *Posting
	Receipts   *bool
	SlowMode   *int
	Retention  *int64
}

// User is the part of an account's row that the rules need.
type User struct {
	ID       int64
	Name     string // prepared
	Admin    bool   // of the whole site
	Disabled bool
	Version  int64 // grows with every change that may remove a right of the user
}

// Viewer is the caller: a user, in a session, until their token expires.
type Viewer struct {
	User    int64
	Name    string
	Session int64
	Expires time.Time // zero for never
	Script  bool      // an API token, which cannot manage accounts
	Only    []int64   // the rooms that the token is limited to; nil for no limit
	Scopes  []string  // all that the token can do; nil for no limit
	Address string    // whose rate limits a caller without an account shares; their User is 0
}

// Reaches reports whether the viewer's token is valid for a room.
func (v Viewer) Reaches(room int64) bool { return v.Only == nil || slices.Contains(v.Only, room) }

// checkReceipts returns an *Invalid for a public room with receipts.
func (r *Room) checkReceipts() error {
	if r.Receipts && r.Visibility != Private {
		return invalid("receipts", "only private rooms can have receipts")
	}
	return nil
}

// Retention of rooms and sites, in seconds. Keys of posts are kept for a day, so the posts are too.
const (
	MinRetention = 24 * 60 * 60
	MaxRetention = 3650 * MinRetention
)

// checkRetention returns an *Invalid for an invalid retention.
func checkRetention(seconds int64) error {
	if seconds != 0 && (seconds < MinRetention || seconds > MaxRetention) {
		return invalid("retention", "messages can be kept for at least a day (86,400) and at most ten years; 0 for the site's setting")
	}
	return nil
}

// checkTitle returns an *Invalid for an invalid title; it can be empty.
func checkTitle(s string) error {
	if s == "" {
		return nil
	}
	return CheckLabel("title", s, 200)
}
