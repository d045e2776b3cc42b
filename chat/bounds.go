package chat

import "errors"

// Bounds limit what users can create, so that no account can fill a database; 0 is no limit.
type Bounds struct {
	Rooms       int // created or owned by a user
	Memberships int // of a user
	Bans        int // in a room
	Blocks      int // of a user
	Tokens      int // API tokens of a user
	Tickets     int // unused tickets of a user
	Sessions    int // sessions of a user; one more ends the one refreshed longest ago
}

// ErrLimitReached means that a limit is reached; the error text names it.
var ErrLimitReached = errors.New("limit reached")

// Check reports whether all bounds are valid.
func (b Bounds) Check() error {
	if min(b.Rooms, b.Memberships, b.Bans, b.Blocks, b.Tokens, b.Tickets, b.Sessions) < 0 {
		return errors.New("a limit must be 0, for none, or more")
	}
	return nil
}
