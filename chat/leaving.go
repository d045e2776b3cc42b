package chat

import "time"

// Left returns the event of a user leaving a room by deleting the account; the store knows the rooms.
func Left(room Room, user User, at time.Time) Event { return memberRemoved(room, user, user, at) }
