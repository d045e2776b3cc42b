package chat

import (
	"errors"
	"fmt"
	"time"
)

// Errors of the service. api maps each to a status and a code.
var (
	ErrRoomNotFound  = errors.New("no such room")
	ErrRoomExists    = errors.New("a room of that name already exists")
	ErrLastOwner     = errors.New("a private room needs an owner; make another member the owner first")
	ErrBanned        = errors.New("the user is banned from this room")
	ErrForbidden     = errors.New("your role does not allow this")
	ErrLastAdmin     = errors.New("this is the last admin; make another user an admin first")
	ErrUserNotFound  = errors.New("no such user")
	ErrGone          = errors.New("the account is deleted or disabled") // the caller's own account
	ErrTokenScope    = errors.New("this API token does not allow that")
	ErrMayNotPost    = errors.New("posting is restricted in this room")
	ErrKeyMismatch   = errors.New("the idempotency key was used with a different body")
	ErrUnavailable   = errors.New("the service cannot do this now, or does not know whether it did; try again, with the same Idempotency-Key for a post")
	ErrNoMessage     = errors.New("the message does not exist or was deleted")
	ErrNotYours      = errors.New("the message belongs to another user")
	ErrBlocked       = errors.New("the user does not accept your private messages")
	ErrManyReactions = errors.New("a message can have at most 20 different reactions")
	ErrMessageEmpty  = errors.New("a message must have at least one visible character")
	ErrMessageTooBig = errors.New("a message can have at most 4,000 characters")
	ErrMuted         = errors.New("you are muted in this room")
	ErrSlowMode      = errors.New("the room is in slow mode, and your last message was too recent")
	ErrNoReport      = errors.New("no such report")
	// ErrStale is for Store: a decision was made on data that has changed; Service decides again.
	ErrStale = errors.New("decided on an old state")
)

// RoomNotFound returns ErrRoomNotFound with the room's name, or with the reason why no room can have that name.
func RoomNotFound(room string) error {
	if _, err := PrepareRoomName("room", room); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrRoomNotFound, room)
}

// NotYet is a refusal that ends by itself: ErrMuted or ErrSlowMode.
type NotYet struct {
	Err   error
	Until time.Time
	Wait  time.Duration // until then
}

func (e *NotYet) Error() string { return e.Err.Error() + "; until " + FormatTime(e.Until) }

// Unwrap returns e.Err.
func (e *NotYet) Unwrap() error { return e.Err }

// Invalid is an invalid value; Field is its name in body, path, query or header.
type Invalid struct {
	Field  string
	Detail string
}

func (e *Invalid) Error() string { return e.Field + ": " + e.Detail }
