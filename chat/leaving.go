package chat

import "time"

// Left is the event of user's leaving a room with their account; the store knows which rooms these are.
func Left(room Room, user User, at time.Time) Event { return memberRemoved(room, user, user, at) }
