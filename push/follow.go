package push

import (
	"context"
	"strings"
	"time"

	"tandem/chat"
	"tandem/followers"
)

// Happened is what part of the log devices may have to be notified of. That is decided when the grace is over.
type Happened struct {
	Private  []Sent
	Main     map[chat.Topic]Sent // the latest message of each room outside threads, for users at level all
	Mentions []Sent              // messages of rooms that mention a user, or everyone
	Deleted  []Sent
}

// Sent is a message, and where it is.
type Sent struct {
	ID     int64
	Topic  chat.Topic // the room's, or the conversation's
	Author int64
	Target int64 // of a private message
}

// wants reports whether an event may cause notifications.
func wants(e *chat.Event) bool {
	switch e.Type {
	case chat.TypeChatMessage, chat.TypePrivateMessage, chat.TypeMessageDeleted:
		return true
	case chat.TypeMessageEdited:
		return mentions(e)
	}
	return false
}

// mentions reports whether an event may mention a user. The app's own data may look like it; that only costs a query.
func mentions(e *chat.Event) bool {
	return strings.Contains(e.Body, `,"mentions":[`) || strings.Contains(e.Body, `,"mentions_all":true`)
}

// happened sorts the events of a batch.
func happened(events []chat.Event) (h Happened, err error) {
	h.Main = make(map[chat.Topic]Sent)
	for i := range events {
		e := &events[i]
		sent := Sent{ID: e.ID, Topic: chat.Within(*e), Author: e.Author}
		switch e.Type {
		case chat.TypePrivateMessage:
			if sent.Target = e.Topic.Number(); sent.Target != e.Author {
				h.Private = append(h.Private, sent)
			}
		case chat.TypeChatMessage:
			if e.Thread == 0 {
				if before, ok := h.Main[sent.Topic]; ok && before.Author != sent.Author {
					h.Main[sent.Topic] = Sent{ID: e.ID, Topic: sent.Topic} // of other users too
				} else {
					h.Main[sent.Topic] = sent
				}
			}
			if mentions(e) {
				h.Mentions = append(h.Mentions, sent)
			}
		case chat.TypeMessageEdited:
			if !sent.Topic.IsRoom() || !mentions(e) {
				continue // the conversation's users were notified of the message
			}
			if sent.ID, _, err = chat.TextOf(*e); err != nil {
				return h, err
			}
			h.Mentions = append(h.Mentions, sent)
		case chat.TypeMessageDeleted:
			if sent.ID, err = chat.DeletedMessage(*e); err != nil {
				return h, err
			}
			h.Deleted = append(h.Deleted, sent)
		}
	}
	return h, nil
}

// Follower is the name of the follower that sends notifications. It exists as long as there are subscriptions.
const Follower = "push"

// Kind returns the kind of follower to run.
func (s *Service) Kind() followers.Kind {
	return followers.Kind{Name: Follower, Load: func(context.Context, []string) ([]followers.Follower, error) {
		s.Kick() // the previous follower may have died
		return []followers.Follower{{Name: Follower, Wants: wants, Handle: s.handle}}, nil
	}}
}

// handle records what devices may have to be notified of. Handling the same events again changes nothing.
func (s *Service) handle(ctx context.Context, b followers.Batch) error {
	h, err := happened(b.Events)
	if err != nil {
		return err
	}
	noted, err := s.store.NotePush(ctx, h, s.now().Add(s.grace))
	switch {
	case err != nil:
		return err
	case noted:
		s.Kick()
		return nil
	}
	if now := s.now(); now.Sub(s.asked) > askEvery { // only Handle uses it
		s.asked = now
		if err := s.store.UnfollowPush(ctx); err != nil {
			return err
		}
	}
	return followers.ErrNothing
}

// askEvery is how often to check whether there still are subscriptions.
const askEvery = time.Minute
