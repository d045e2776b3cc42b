package chat

import "context"

// Correspondent is a user as somebody sees them who writes to them.
type Correspondent struct {
	User
	Deleted bool // the account is gone; what was written stays
	Blocks  bool // refuses that one's private messages
}

// Conversation is what two users write to each other, as one of them sees it.
type Conversation struct {
	With   User
	LastID int64 // of its latest message
	Unread int   // messages of the other one behind the viewer's marker, up to MaxUnread
}

// Send sends a private message. It returns the message's event and whether this call sent it, as Post does; ErrBlocked
// where the target refuses it.
func (s *Service) Send(ctx context.Context, v Viewer, username string, d Draft) (Event, bool, error) {
	if err := d.check(); err != nil {
		return Event{}, false, err
	}
	var sent Event
	var fresh bool
	err := s.withUser(ctx, v, username, func(u User, to Correspondent) error {
		if err := to.mayGet(u); err != nil {
			return err
		}
		other := to.User
		if err := s.checkReply(ctx, ConversationTopic(u.ID, other.ID), d); err != nil {
			return err
		}
		at := s.now()
		var told func(int64) Event
		if other.ID != u.ID {
			told = func(message int64) Event { return delivered(u, other, &d, at, message) }
		}
		var err error
		sent, fresh, err = s.store.Send(ctx, guardBoth(u, other), u.ID, other.ID, privateMessage(u, other, &d, at), told, d.key())
		return err
	})
	if err == nil && !fresh {
		sent, err = s.present(ctx, v, sent)
	}
	return sent, fresh, err
}

// mayGet tells whether u may write to c: ErrUserNotFound, ErrBlocked.
func (c *Correspondent) mayGet(u User) error {
	switch {
	case c.Deleted, c.Disabled && c.ID != u.ID:
		return ErrUserNotFound // nobody would read it
	case c.Blocks:
		return ErrBlocked
	}
	return nil
}

// withUser runs f, which decides and writes, with the caller and who they write with. Where the store finds stale what
// f was given, f runs again on what is true now.
func (s *Service) withUser(ctx context.Context, v Viewer, username string, f func(u User, to Correspondent) error) error {
	return s.decide(func(fresh bool) error {
		u, _, err := s.user(ctx, v.User, fresh)
		if err != nil {
			return err
		}
		to, err := s.correspondent(ctx, v, username)
		if err != nil {
			return err
		}
		return f(u, to)
	})
}

// correspondent is who v writes with.
func (s *Service) correspondent(ctx context.Context, v Viewer, username string) (Correspondent, error) {
	if v.Only != nil {
		return Correspondent{}, ErrTokenScope
	}
	name, err := PrepareUsername(username)
	if err != nil {
		return Correspondent{}, err
	}
	return s.store.Correspondent(ctx, v.User, name)
}

// PrivateHistory is a page of what v and a user wrote to each other.
func (s *Service) PrivateHistory(ctx context.Context, v Viewer, username string, p Page) (MessagePage, error) {
	other, err := s.correspondent(ctx, v, username)
	if err != nil {
		return MessagePage{}, err
	}
	return s.history(ctx, v, ConversationTopic(v.User, other.ID), p)
}

// Conversations lists v's, the latest first, behind the one whose latest message is before; 0 is from the start.
func (s *Service) Conversations(ctx context.Context, v Viewer, before int64, limit int) ([]Conversation, error) {
	if v.Only != nil {
		return nil, ErrTokenScope
	}
	if before == 0 {
		before = MaxID + 1
	}
	all, err := s.store.Conversations(ctx, v.User, before, limit)
	for i := range all {
		if err == nil {
			all[i].Unread, err = s.store.Unread(ctx, v.User, ConversationTopic(v.User, all[i].With.ID))
		}
	}
	return all, err
}

func guardBoth(u, other User) Guard {
	return Guard{User: u.ID, UserVersion: u.Version, Other: other.ID, OtherVersion: other.Version}
}
