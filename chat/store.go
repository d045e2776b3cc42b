package chat

import (
	"context"
	"time"
)

// Store stores what Service decides. Its writes are durable when they return, and their events are in the log,
// numbered, in the same transaction. A write whose Guard no longer matches changes nothing and returns ErrStale; a
// write that the database cannot accept now changes nothing and returns ErrUnavailable.
type Store interface {
	Reader
	// RecordDeed writes the deed of ctx to the audit log unless it is already there. Every other write does so too.
	RecordDeed(ctx context.Context) error
	// Deeds returns the limit latest entries of the audit log before that id; 0 starts at the latest.
	Deeds(ctx context.Context, before int64, limit int) ([]DoneDeed, error)
	// Post appends the message m, or returns a *NotYet if it is not Apart enough. If the same user used key before in
	// the same topic, it returns the event posted then and false, or ErrKeyMismatch if the fingerprint differs. It
	// returns ErrBadFiles if one of m's files cannot be taken.
	Post(ctx context.Context, g Guard, m Message, key *Key) (Event, bool, error)
	// Send is Post for a private message from user to other. delivered creates the sender's event once the message's id
	// is known; nil if user and other are the same.
	Send(ctx context.Context, g Guard, user, other int64, m Message, delivered func(message int64) Event, key *Key) (Event, bool, error)
	// AddFile adds the row of a file whose bytes are stored.
	AddFile(ctx context.Context, g Guard, f StoredFile) error
	// UseUpload counts bytes as Service.UseUpload does.
	UseUpload(ctx context.Context, user, want, most int64) (UploadUse, error)
	// Edit appends the event that edit derives from the message's last edit (nil if there is none), or returns
	// ErrNoMessage if the message is deleted.
	Edit(ctx context.Context, g Guard, topic Topic, message int64, edit func(last *Event) (Edit, error)) error
	// Delete removes the message's text from every event that has it, and its reactions, and appends e. If that was
	// done before, it does nothing.
	Delete(ctx context.Context, g Guard, topic Topic, message int64, e Event) error
	// React records that e's author adds or removes the reaction emoji to a message, and appends e; it does nothing if
	// that is already so. It returns ErrNoMessage if the message is deleted, and ErrManyReactions.
	React(ctx context.Context, g Guard, topic Topic, message int64, emoji string, on bool, e Event) error
	// Pin pins or unpins a message and appends e; it does nothing if that is already so. It returns ErrNoMessage if the
	// message is deleted, and ErrLimitReached.
	Pin(ctx context.Context, g Guard, topic Topic, message int64, on bool, e Event) error
	// SetNotify stores the user's level for a topic if it is not the default. It returns ErrLimitReached.
	SetNotify(ctx context.Context, user int64, topic Topic, level, otherwise NotifyLevel) error
	// MarkRead moves the user's marker to the latest message of the topic up to id and returns that, or 0 if it would
	// not move forward.
	MarkRead(ctx context.Context, user int64, topic Topic, id int64) (int64, error)
	// CreateRoom creates r and its owner's membership; events is called once its number is known. It returns
	// ErrRoomExists if the name is taken.
	CreateRoom(ctx context.Context, g Guard, r Room, events func(Room) []Event) (Room, error)
	// SetBlock makes user block other, or not; user's version grows.
	SetBlock(ctx context.Context, user, other int64, blocked bool) error
	// SetMember changes the role of user in room from one role to another and appends e. An empty role means not a
	// member. It returns ErrStale if user has a different role.
	SetMember(ctx context.Context, g Guard, room, user int64, from, to Role, e Event) error
	// RemoveMember ends user's membership of room and appends the events; it does nothing if there is none.
	RemoveMember(ctx context.Context, g Guard, room, user int64, events []Event) error
	// Ban ends user's membership of room, bans them and appends the events; it does nothing if they are banned.
	Ban(ctx context.Context, g Guard, room, user int64, events []Event) error
	// Unban ends user's ban.
	Unban(ctx context.Context, g Guard, room, user int64) error
	// Mute mutes user in a room until then and appends e. It returns ErrLimitReached.
	Mute(ctx context.Context, g Guard, room, user int64, until time.Time, e Event) error
	// Unmute ends a mute and appends e; it does nothing if there is none.
	Unmute(ctx context.Context, g Guard, room, user int64, e Event) error
	// SetBeforePost sets a room's before-post hook, or removes it if h is nil, and moves the room's version.
	SetBeforePost(ctx context.Context, g Guard, room int64, h *BeforePost) error
	// Report records once that g's user reports a message, and opens its report. It returns whether it did, or
	// ErrNoMessage if the message is deleted, or ErrLimitReached.
	Report(ctx context.Context, g Guard, topic Topic, message int64, reason string) (bool, error)
	// ChangeReport sets the state of a report of the topic, or of any topic for NoTopic. It returns whether the state
	// changed, or ErrNoReport.
	ChangeReport(ctx context.Context, g Guard, topic Topic, report int64, state ReportState) (bool, error)
	// ChangeRoom stores r's title, visibility, posting, receipts, slow mode and retention and appends the events. It
	// returns r's new version.
	ChangeRoom(ctx context.Context, g Guard, r Room, events []Event) (int64, error)
	// CreateInlet stores an inlet under the hash of its secret and returns its number and creator's name. It returns
	// ErrLimitReached.
	CreateInlet(ctx context.Context, g Guard, in Inlet, hash []byte) (Inlet, error)
	// DeleteInlet returns ErrNoInlet if the room has none of that number.
	DeleteInlet(ctx context.Context, g Guard, room, inlet int64) error
	// PostByInlet is Post for an inlet; it returns ErrNoInlet if the inlet is deleted. If within is not 0, keys older
	// than that are ignored.
	PostByInlet(ctx context.Context, inlet int64, m Message, key *Key, within time.Duration) (Event, bool, error)
	// CreateHook stores a hook that starts after since; nil is the log's head. It returns ErrLimitReached.
	CreateHook(ctx context.Context, g Guard, h Hook, since *int64) (HookState, error)
	// ChangeHook and DeleteHook return ErrNoHook if the room, or 0 for all rooms, has none of that number.
	ChangeHook(ctx context.Context, g Guard, room, hook int64, c HookChange) error
	DeleteHook(ctx context.Context, g Guard, room, hook int64) error
	// DeleteRoom deletes a room and everything of it except its events, and appends e.
	DeleteRoom(ctx context.Context, g Guard, room int64, e Event) error
	// ChangeProfile returns the profile before and after, and the id of its ControlEvent, 0 for none.
	ChangeProfile(ctx context.Context, user int64, c ProfileChange) (was, is Profile, at int64, err error)
	// ChangeAccount returns ErrLastAdmin if no enabled admin would be left. Disabling a user ends all sessions, tokens
	// and streams.
	ChangeAccount(ctx context.Context, g Guard, user int64, c AccountChange) (Account, error)
}

// Reader is the reading part of Store.
type Reader interface {
	// User returns ErrUserNotFound if the user does not exist or is deleted.
	User(ctx context.Context, id int64) (User, error)
	// UserNamed returns ErrUserNotFound.
	UserNamed(ctx context.Context, name string) (User, error)
	// Blocks lists the names that user blocks, starting after the name after.
	Blocks(ctx context.Context, user int64, after string, limit int) ([]string, error)
	// Room returns ErrRoomNotFound.
	Room(ctx context.Context, name string, viewer int64) (RoomView, error)
	// OpenRoom returns a public room from which nobody is banned, without its creator. It returns ErrRoomNotFound for
	// others.
	OpenRoom(ctx context.Context, name string) (Room, error)
	// RoomNumbered is Room by its number.
	RoomNumbered(ctx context.Context, room, viewer int64) (RoomView, error)
	// File returns ErrNoFile.
	File(ctx context.Context, id string) (StoredFile, error)
	// FilesOf returns those of the files with these ids, in their order, that owner has uploaded to the topic, taken or
	// not.
	FilesOf(ctx context.Context, owner int64, topic Topic, ids []string) ([]File, error)
	// Inlets lists a room's inlets, oldest first.
	Inlets(ctx context.Context, room int64) ([]Inlet, error)
	// InletOf returns ErrNoInlet if no inlet has a secret with this hash.
	InletOf(ctx context.Context, hash []byte) (Inlet, error)
	// Hooks lists a room's hooks, or those for all rooms if room is 0, oldest first; with a hook's number, only that
	// one.
	Hooks(ctx context.Context, room, hook int64) ([]HookState, error)
	// Head returns the state of the log.
	Head(ctx context.Context) (LogState, error)
	// Memberships lists the rooms that user is a member of, by name.
	Memberships(ctx context.Context, user int64) ([]Membership, error)
	// RoomNames returns the names of the existing rooms with these numbers.
	RoomNames(ctx context.Context, rooms []int64) (map[int64]string, error)
	// Rooms lists what v may see, by name, starting after the name after.
	Rooms(ctx context.Context, v Viewer, after string, limit int) ([]RoomView, error)
	// Members and Bans list those of a room, by name, starting after the name after.
	Members(ctx context.Context, room int64, after string, limit int) ([]Member, error)
	Bans(ctx context.Context, room int64, after string, limit int) ([]Ban, error)
	// KeyUsed reports whether a user has posted with that key in a topic.
	KeyUsed(ctx context.Context, user int64, topic Topic, key string) (bool, error)
	// Mutes lists a room's mutes that have not ended at now, by name, starting after the name after.
	Mutes(ctx context.Context, room int64, now time.Time, after string, limit int) ([]Mute, error)
	// Reports lists the latest reports that match q, without their messages. Report returns one, or ErrNoReport.
	Reports(ctx context.Context, q ReportQuery) ([]Report, error)
	ReportNumbered(ctx context.Context, report int64) (Report, error)
	// EventsNumbered returns the existing events with these ids.
	EventsNumbered(ctx context.Context, ids []int64) (map[int64]Event, error)
	// OpenReports counts the open reports of a room, or of all conversations if topic is NoTopic. Moderators returns
	// the inboxes of those who handle them.
	OpenReports(ctx context.Context, topic Topic) (int, error)
	Moderators(ctx context.Context, topic Topic) ([]Topic, error)
	// Member returns a user's membership of a room.
	Member(ctx context.Context, room, user int64) (Member, error)
	// CountMembers counts a room's members, up to most.
	CountMembers(ctx context.Context, room int64, most int) (int, error)
	// Readers returns the users with these names who may read the room, by name.
	Readers(ctx context.Context, r Room, names []string) (map[string]int64, error)
	// Mentions lists the messages of others that mention user in rooms that they may read, the latest Limit before
	// Before, in order of id.
	Mentions(ctx context.Context, user int64, p Page) (MessagePage, error)
	// UnreadMentions counts, up to MaxUnread, the messages of a room after user's marker that mention user.
	UnreadMentions(ctx context.Context, user, room int64) (int, error)
	// Owners counts a room's owners.
	Owners(ctx context.Context, room int64) (int, error)
	// Users lists accounts by name, including disabled and deleted ones; People lists the others.
	Users(ctx context.Context, p People) ([]Account, error)
	People(ctx context.Context, p People) ([]Person, error)
	// Profile returns ErrGone if the user is deleted.
	Profile(ctx context.Context, user int64) (Profile, error)
	// Acquainted returns the topics of user's rooms, their own inbox and the inboxes of their latest correspondents, up
	// to the given number of each.
	Acquainted(ctx context.Context, user int64, rooms, users int) ([]Topic, error)
	// Counts returns the number of enabled users and of rooms.
	Counts(ctx context.Context) (users, rooms int64, err error)
	// Correspondent returns the user with that name, also a deleted one with whom user has a conversation. It returns
	// ErrUserNotFound.
	Correspondent(ctx context.Context, user int64, name string) (Correspondent, error)
	// Conversations lists the conversations of user whose latest message is before that id, the latest first.
	Conversations(ctx context.Context, user, before int64, limit int) ([]Conversation, error)
	// Unread counts the messages of others after user's marker, up to MaxUnread.
	Unread(ctx context.Context, user int64, topic Topic) (int, error)
	// Message returns the event of a message, or ErrNoMessage if the topic has none with that id.
	Message(ctx context.Context, topic Topic, id int64) (Event, error)
	// Messages returns a page of the messages of a room or a conversation, as they were posted. A Query also finds
	// those in threads.
	Messages(ctx context.Context, topic Topic, p Page) (MessagePage, error)
	// Pins returns the pinned messages of a topic as they were posted, the latest pin first.
	Pins(ctx context.Context, topic Topic) ([]Event, error)
	// Watchers returns the inboxes of those who see how far user has read in a topic. Seen returns how far these have
	// read.
	Watchers(ctx context.Context, user int64, topic Topic) ([]Topic, error)
	Seen(ctx context.Context, user int64, topic Topic) ([]Seen, error)
	// Changes returns what happened to these messages since, as viewer sees it.
	Changes(ctx context.Context, viewer int64, messages []int64) (map[int64]Changes, error)
}

// Guard is the state that a decision was made on. It matches as long as both rows have these versions; a zero number is
// not compared.
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
	Prev   *int64 // Page.Before for the previous page; nil if there is none
	Next   *int64 // Page.After for the next page; nil if there is none
}

// Page asks for the Limit messages after After, or before Before, or, with neither, for the latest.
type Page struct {
	Before, After int64
	HasAfter      bool // After counts: 0 is before the first message
	Limit         int
	Query         *Query // only messages that match it; nil for all
	Thread        int64  // the thread that starts with this message, including it; 0 for messages outside threads
}
