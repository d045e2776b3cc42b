package chat

import "context"

// Correspondent is a user as seen by someone who writes to them.
type Correspondent struct {
	User
	Deleted bool // the account is deleted; its messages stay
	Blocks  bool // has blocked the viewer
}

// Conversation is the conversation of two users, as one of them sees it.
type Conversation struct {
	With   User
	LastID int64 // of its latest message
	Unread int   // messages of the other user after the viewer's marker, up to MaxUnread

	Level NotifyLevel // set by the viewer; empty for the default
}

// Send sends a private message. It returns the message's event and whether this call sent it, as Post does, or
// ErrBlocked if the target has blocked v.
func (s *Service) Send(ctx context.Context, v Viewer, username string, d Draft) (Event, bool, error) {
	if err := d.prepare(); err != nil {
		return Event{}, false, err
	}
	var sent Event
	var fresh bool
	var a asked
	err := s.withUser(ctx, v, username, func(u User, to Correspondent) error {
		if err := to.mayGet(u); err != nil {
			return err
		}
		other := to.User
		if err := s.checkPlace(ctx, ConversationTopic(u.ID, other.ID), &d); err != nil {
			return err
		}
		if err := s.attach(ctx, u.ID, ConversationTopic(u.ID, other.ID), &d); err != nil {
			return err
		}
		m, at := mentionsBetween(u, other, d.Text), s.now()
		if hooks := s.hooksBetween(); hooks != nil {
			t := d.text(u, m, at)
			t.Target = other.Name
			if err := s.callHooks(ctx, &a, hooks, u.ID, ConversationTopic(u.ID, other.ID), d.key(), t); err != nil {
				return err
			}
			d.marks = a.verdict.Marks
		}
		var told func(int64) Event
		if other.ID != u.ID {
			told = func(message int64) Event { return delivered(u, other, &d, m, at, message) }
		}
		message := privateMessage(u, other, &d, m, at)
		message.Report = a.verdict.Report
		var err error
		sent, fresh, err = s.store.Send(ctx, guardBoth(u, other), u.ID, other.ID, message, told, d.key())
		return err
	})
	if err == nil && !fresh {
		sent, err = s.present(ctx, v, sent)
	}
	if err == nil && fresh {
		s.notifyReport(ctx, &a, NoTopic, "")
	}
	return sent, fresh, err
}

// mayGet checks whether u may write to c. It returns ErrUserNotFound or ErrBlocked.
func (c *Correspondent) mayGet(u User) error {
	switch {
	case c.Deleted, c.Disabled && c.ID != u.ID:
		return ErrUserNotFound // nobody would read it
	case c.Blocks:
		return ErrBlocked
	}
	return nil
}

// withUser runs f, which decides and writes, with the caller and the other user. If the store finds the data given to f
// stale, f runs again on current data.
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

// correspondent returns the user that v writes with.
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

// PrivateHistory returns a page of the conversation of v and a user.
func (s *Service) PrivateHistory(ctx context.Context, v Viewer, username string, p Page) (MessagePage, error) {
	other, err := s.correspondent(ctx, v, username)
	if err != nil {
		return MessagePage{}, err
	}
	return s.history(ctx, v, ConversationTopic(v.User, other.ID), p)
}

// Conversations lists v's conversations, the latest first, older than the one whose latest message is before; 0 starts
// at the latest.
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
