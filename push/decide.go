package push

import (
	"context"
	"slices"

	"tandem/chat"
)

// verdict is what to do about a due notice.
type verdict struct {
	send *Notice // nil for nothing
	end  End     // the outcome, if nothing is sent or it arrived
}

// decide determines what a device is notified of now: everything that happened since the notice was made is considered, so
// that nobody is notified of messages that they have read, or may no longer read.
func (s *Service) decide(ctx context.Context, d Due) (v verdict, err error) {
	st, err := s.store.Standing(ctx, d, s.now())
	if err != nil {
		return v, err
	}
	v.end.At = s.now().Add(s.grace)
	if !st.Live {
		v.end.Over = true
		return v, nil
	}
	unread, mentioned, err := s.unread(ctx, d, st)
	if err != nil {
		return v, err
	}
	n := &Notice{Room: st.Room, topic: s.topicOf(d.Subscription.User, d.Topic)}
	if len(unread) == 0 {
		v.end.Over = true
		if d.Notified == 0 || !d.Subscription.takesBack() {
			return v, nil
		}
		n.Type, n.User, n.MessageID = typeRead, st.With, d.Notified
		v.send = n
		return v, nil
	}
	latest := unread[0]
	v.end.Notified = latest
	if latest == d.Notified {
		return v, nil
	}
	m, err := s.store.PushedMessage(ctx, latest)
	if err != nil {
		return v, err
	}
	n.Type, n.User, n.MessageID, n.Unread = chat.TypeChatMessage, m.Author, latest, min(len(unread), MaxUnread)
	switch {
	case st.Room == "":
		n.Type = chat.TypePrivateMessage
	case slices.Contains(mentioned, latest):
		n.Type = typeMention
	}
	if s.content {
		n.Text = beginning(m.Text)
	}
	v.send = n
	return v, nil
}

// unread returns the messages of a place that a user must be notified of, the latest first, and those that mention the
// user.
func (s *Service) unread(ctx context.Context, d Due, st Standing) (all, mentioned []int64, err error) {
	user, isRoom := d.Subscription.User, d.Topic.IsRoom()
	if st.Level == "" {
		st.Level = chat.NotifyConversations
		if isRoom {
			st.Level = chat.NotifyRooms
		}
	}
	if !st.May || st.Level == chat.NotifyNone {
		return nil, nil, nil
	}
	if !isRoom {
		all, err = s.store.UnreadMessages(ctx, user, d.Topic, st.Marker, true)
		if err == nil && st.Level == chat.NotifyMentions {
			all, err = s.mentioning(ctx, all, st.Name)
		}
		return all, nil, err
	}
	if mentioned, err = s.store.UnreadMentionsOf(ctx, user, d.Topic, st.Marker, st.Member); err != nil {
		return nil, nil, err
	}
	all = slices.Clone(mentioned)
	if st.Level == chat.NotifyAll {
		main, err := s.store.UnreadMessages(ctx, user, d.Topic, st.Marker, false)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, main...)
		slices.Sort(all)
		slices.Reverse(all)
		all = slices.Compact(all)
	}
	return all, mentioned, nil
}

// mentioning returns those of a conversation's messages that mention a user. The store has no list of them, because
// users are notified of all of them by default.
func (s *Service) mentioning(ctx context.Context, messages []int64, name string) (some []int64, err error) {
	for _, id := range messages {
		m, err := s.store.PushedMessage(ctx, id)
		if err != nil {
			return nil, err
		}
		if slices.Contains(m.Mentions, name) {
			some = append(some, id)
		}
	}
	return some, nil
}
