package push

import (
	"context"
	"time"

	"tandem/chat"
)

// Store stores subscriptions, and a notice for each device and room or conversation with something to notify about.
type Store interface {
	// PutPush stores s under its user and id. If the same was stored lately, it changes nothing. It ends anyone's
	// subscription with the same kind and target, and the user's oldest if there are too many. It returns
	// auth.ErrInvalidToken if the session has ended.
	PutPush(ctx context.Context, s Subscription) error
	// DeletePush ends a subscription; it does nothing if there is none.
	DeletePush(ctx context.Context, user int64, id string) error
	// Pushes lists a user's subscriptions by id.
	Pushes(ctx context.Context, user int64) ([]Subscription, error)
	// NotePush creates notices of what happened, due at due, and schedules those about deleted messages. It reports
	// whether there are any. Repeating it changes nothing.
	NotePush(ctx context.Context, h Happened, due time.Time) (bool, error)

	// UnfollowPush removes the follower of the log if there are no subscriptions. PutPush adds it.
	UnfollowPush(ctx context.Context) error

	// NextPush returns when the next notice is due; the zero time for none.
	NextPush(ctx context.Context) (time.Time, error)
	// ClaimPush gives the caller due notices: no other caller gets them before c.Until.
	ClaimPush(ctx context.Context, c Claim) ([]Due, error)
	// EndDue stores the outcome of a notice. If by no longer has it claimed, it changes nothing.
	EndDue(ctx context.Context, by int64, d Due, e End) error
	// DelayPush makes no notice of a service due before until, except claimed ones.
	DelayPush(ctx context.Context, service string, until time.Time) error

	// Standing returns the state of a notice's user.
	Standing(ctx context.Context, d Due, now time.Time) (Standing, error)
	// UnreadMessages returns the ids of others' messages after after outside threads, or, with threads, also those in a
	// conversation's threads: the latest first, at most MaxUnread, without messages of users whom user blocks.
	UnreadMessages(ctx context.Context, user int64, topic chat.Topic, after int64, threads bool) ([]int64, error)
	// UnreadMentionsOf returns those of a room's messages that mention user or, for a member, everyone.
	UnreadMentionsOf(ctx context.Context, user int64, topic chat.Topic, after int64, member bool) ([]int64, error)
	// PushedMessage returns a message's author and current text.
	PushedMessage(ctx context.Context, id int64) (Message, error)
}

// Claim asks for notices to send.
type Claim struct {
	By         int64 // different for each claim
	Now, Until time.Time
	Except     []string // services
	Most       int
}

// Due is a notice to decide on: its device may have to be notified.
type Due struct {
	Subscription Subscription
	Topic        chat.Topic // the room, or the conversation
	Message      int64      // the latest message to notify about
	Notified     int64      // the latest message that the device was notified of; 0 for none
	Since        time.Time  // when it was first due
	Tries        int        // including this one
}

// End is the outcome of a Due: the first of these that is set.
type End struct {
	Gone     bool  // the device cannot be reached any more: the subscription ends
	Over     bool  // nothing to notify about, and nothing shown
	Notified int64 // the device was notified of that message
	GivenUp  bool  // it will not be notified
	Untried  bool  // it was not sent
	// At is when it is due again: in any case or, with Over and Notified, if there is more.
	At time.Time
	// Asked: the push service was called. Error is why the device was not notified, for its owner.
	Asked bool
	Error string
}

// Standing is a user's state in the room or conversation of a notice.
type Standing struct {
	Live   bool // the subscription is still valid
	Name   string
	Marker int64 // how far they have read
	Level  chat.NotifyLevel
	Room   string // the room's name; empty for a conversation
	May    bool   // they may read it
	Member bool
	With   string // for a conversation, the other user's name
}

// Message is the content of a notification.
type Message struct {
	Author   string
	Text     string
	Mentions []string
}
