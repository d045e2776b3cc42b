package chat

import "errors"

// Bounds say how much there may be of what users make, so that no account can fill a database; 0 is no bound.
type Bounds struct {
	Rooms       int // that a user has made or owns
	Memberships int // of a user
	Bans        int // in a room
	Blocks      int // of a user
	Tokens      int // API tokens of a user
	Tickets     int // of a user that are good
	Sessions    int // logins of a user; one more ends the one that was refreshed the longest ago
}

// ErrLimitReached means that there is as much of something as there may be; the error says of what.
var ErrLimitReached = errors.New("limit reached")

// Check tells whether all bounds make sense.
func (b Bounds) Check() error {
	if min(b.Rooms, b.Memberships, b.Bans, b.Blocks, b.Tokens, b.Tickets, b.Sessions) < 0 {
		return errors.New("a limit is 0, for none, or more")
	}
	return nil
}
