package chat

import "context"

// Store keeps what Service decides. Its writes are durable when they return, and their events are in the
// log, numbered, in the same transaction. A write whose Guard no longer fits changes nothing and returns
// ErrStale; one that the database cannot take now changes nothing and returns ErrUnavailable.
type Store interface {
	Reader
	// Post appends the message e. Where key was used before by the same user in the same topic it returns the
	// event posted then and false, or ErrKeyMismatch where that had another fingerprint.
	Post(ctx context.Context, g Guard, e Event, key *Key) (Event, bool, error)
	// Send is Post for a private message from user to other. delivered, made once the message's id is known, is for
	// its sender; nil where they are the same.
	Send(ctx context.Context, g Guard, user, other int64, e Event, delivered func(message int64) Event, key *Key) (Event, bool, error)
	// Edit appends e, the message's new text, or returns ErrNoMessage where the message is deleted.
	Edit(ctx context.Context, g Guard, topic Topic, message int64, e Event) error
	// Delete takes the message's text out of every event that has it, and its reactions away, and appends e. Where
	// that was done before it does nothing.
	Delete(ctx context.Context, g Guard, topic Topic, message int64, e Event) error
	// React notes that e's author reacts to a message with emoji, or no longer, and appends e; it does nothing where
	// that is so. It returns ErrNoMessage where the message is deleted, and ErrManyReactions.
	React(ctx context.Context, g Guard, topic Topic, message int64, emoji string, on bool, e Event) error
	// MarkRead moves the user's marker to the latest message of the topic up to id and returns that, or 0 where it
	// would not go forward.
	MarkRead(ctx context.Context, user int64, topic Topic, id int64) (int64, error)
	// CreateRoom makes r and its owner's membership; events are made once its number is known. It returns
	// ErrRoomExists where the name is taken.
	CreateRoom(ctx context.Context, g Guard, r Room, events func(Room) []Event) (Room, error)
	// SetBlock makes user block other, or not; user's version grows with it.
	SetBlock(ctx context.Context, user, other int64, blocked bool) error
	// SetMember gives user, who has the role from in room, the role to, and appends e. Empty is no member. It returns
	// ErrStale where user has another role.
	SetMember(ctx context.Context, g Guard, room, user int64, from, to Role, e Event) error
	// RemoveMember ends user's membership of room and appends the events; nothing where there is none.
	RemoveMember(ctx context.Context, g Guard, room, user int64, events []Event) error
	// Ban ends user's membership of room, bans them and appends the events; nothing where they are banned.
	Ban(ctx context.Context, g Guard, room, user int64, events []Event) error
	// Unban lifts user's ban.
	Unban(ctx context.Context, g Guard, room, user int64) error
	// ChangeRoom keeps r's title, visibility and posting and appends the events. It returns r's new version.
	ChangeRoom(ctx context.Context, g Guard, r Room, events []Event) (int64, error)
	// DeleteRoom removes a room, with all that belongs to it but its events, and appends e.
	DeleteRoom(ctx context.Context, g Guard, room int64, e Event) error
	// ChangeAccount returns ErrLastAdmin where no admin would be left who is not disabled. Disabling ends all that
	// user has open.
	ChangeAccount(ctx context.Context, g Guard, user int64, c AccountChange) (Account, error)
}

// Reader is the reading half of Store.
type Reader interface {
	// User returns ErrUserNotFound where there is none, or no longer.
	User(ctx context.Context, id int64) (User, error)
	// UserNamed returns ErrUserNotFound.
	UserNamed(ctx context.Context, name string) (User, error)
	// Blocks lists the names that user blocks, behind after.
	Blocks(ctx context.Context, user int64, after string, limit int) ([]string, error)
	// Room returns ErrRoomNotFound.
	Room(ctx context.Context, name string, viewer int64) (RoomView, error)
	// OpenRoom is a public room from which nobody is banned, its creator left out. It returns ErrRoomNotFound for others.
	OpenRoom(ctx context.Context, name string) (Room, error)
	// Memberships lists the rooms that user is a member of, by name.
	Memberships(ctx context.Context, user int64) ([]Membership, error)
	// RoomNames gives the names of the rooms with these numbers, of those that are there.
	RoomNames(ctx context.Context, rooms []int64) (map[int64]string, error)
	// Rooms lists what v may see, by name, behind after.
	Rooms(ctx context.Context, v Viewer, after string, limit int) ([]RoomView, error)
	// Members and Bans list a room's, by name, behind after.
	Members(ctx context.Context, room int64, after string, limit int) ([]Member, error)
	Bans(ctx context.Context, room int64, after string, limit int) ([]Ban, error)
	// Member is a user's standing in a room.
	Member(ctx context.Context, room, user int64) (Member, error)
	// Owners counts a room's.
	Owners(ctx context.Context, room int64) (int, error)
	// Users lists people by name; all takes in the disabled and deleted.
	Users(ctx context.Context, p People, all bool) ([]Account, error)
	// Counts are how many users, of those who are not disabled, and rooms there are.
	Counts(ctx context.Context) (users, rooms int64, err error)
	// Correspondent is the user with that name, also a deleted one with whom user has written. It returns
	// ErrUserNotFound.
	Correspondent(ctx context.Context, user int64, name string) (Correspondent, error)
	// Conversations lists those of user, the latest first, whose latest message is before that id.
	Conversations(ctx context.Context, user, before int64, limit int) ([]Conversation, error)
	// Unread counts the messages of others behind user's marker, up to MaxUnread.
	Unread(ctx context.Context, user int64, topic Topic) (int, error)
	// Message is the event of a message, or ErrNoMessage where the topic has none with that id.
	Message(ctx context.Context, topic Topic, id int64) (Event, error)
	// Messages is a page of the messages of a room or a conversation, as they were posted.
	Messages(ctx context.Context, topic Topic, p Page) (MessagePage, error)
	// Changes says what became of those of these messages that changed, as viewer sees it.
	Changes(ctx context.Context, viewer int64, messages []int64) (map[int64]Changes, error)
}

// Guard is what a decision was made on. It fits as long as both rows have these versions; a zero number is
// not looked at.
type Guard struct {
	Room, RoomVersion int64
	User, UserVersion int64
	// Other is a second user.
	Other, OtherVersion int64
}

// Key makes retries of a request safe.
type Key struct {
	Name        string
	Fingerprint []byte // of the body
}

// MessagePage is a page of messages in ascending order of id.
type MessagePage struct {
	Events []Event
	Prev   *int64 // what goes into Page.Before for those before them; nil where there are none
	Next   *int64 // what goes into Page.After for those behind them; nil where there are none
}

// Page asks for the Limit messages behind After, or before Before, or, with neither, for the latest.
type Page struct {
	Before, After int64
	HasAfter      bool // After counts: 0 is before the first message
	Limit         int
	Query         *Query // only messages that are found by it; nil for all
}
