package chat

import "time"

// Left returns the event of a user leaving a room by deleting the account; the store knows the rooms.
func Left(room Room, user User, at time.Time) Event { return memberRemoved(room, user, user, at) }

// Succeeded returns the event of next becoming the owner of a room that user, its last owner, leaves so.
func Succeeded(room Room, user, next User, at time.Time) Event {
	return memberAdded(room, user, next, RoleOwner, at)
}
