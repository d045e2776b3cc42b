package chat

import (
	"errors"
	"fmt"
)

// What the service answers where it cannot do as asked. api maps each to a status and a code.
var (
	ErrRoomNotFound  = errors.New("no such room")
	ErrRoomExists    = errors.New("there is a room of that name")
	ErrLastOwner     = errors.New("a private room keeps an owner; make somebody else one first")
	ErrBanned        = errors.New("the user is banned from this room")
	ErrForbidden     = errors.New("this takes a role that you do not have")
	ErrLastAdmin     = errors.New("this is the last admin; make somebody else one first")
	ErrUserNotFound  = errors.New("no such user")
	ErrGone          = errors.New("the account is deleted or disabled") // the caller's own
	ErrTokenScope    = errors.New("this API token does not reach that")
	ErrMayNotPost    = errors.New("posting is restricted in this room")
	ErrKeyMismatch   = errors.New("the idempotency key was used with another body")
	ErrUnavailable   = errors.New("the service cannot do this now, or does not know whether it did; try again, a post with its Idempotency-Key")
	ErrNoMessage     = errors.New("no such message, or it is deleted")
	ErrNotYours      = errors.New("it is somebody else's message")
	ErrBlocked       = errors.New("the user refuses your private messages")
	ErrManyReactions = errors.New("a message has at most 20 kinds of reactions")
	ErrMessageEmpty  = errors.New("a message has at least one character that can be seen")
	ErrMessageTooBig = errors.New("a message has at most 4,000 characters")
	// ErrStale is for Store: what a decision was made on has changed; Service decides again.
	ErrStale = errors.New("decided on an old state")
)

// RoomNotFound is ErrRoomNotFound saying which, or what is wrong with a name that no room can have.
func RoomNotFound(room string) error {
	if _, err := PrepareRoomName("room", room); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrRoomNotFound, room)
}

// Invalid is input that does not fit; Field is its name in body, path, query or header.
type Invalid struct {
	Field  string
	Detail string
}

func (e *Invalid) Error() string { return e.Field + ": " + e.Detail }
