package chat

import (
	"context"
	"encoding/json"
	"regexp"
	"time"
)

// Custom is a custom event of an app. tandem passes it on and only reads its name.
type Custom struct {
	Name string          // 1 to 64 of a-z 0-9 _ . - :
	Data json.RawMessage // an object of at most MaxData bytes; nil for none
	Key  string          // the Idempotency-Key, as in Draft
}

var customName = regexp.MustCompile(`^[a-z0-9_.:-]{1,64}$`)

func (c *Custom) prepare() (err error) {
	if !customName.MatchString(c.Name) {
		return invalid("name", "use 1 to 64 characters of a-z 0-9 _ . - : for an event's name")
	}
	if c.Data, err = prepareData("data", c.Data, MaxData); err != nil {
		return err
	}
	return checkKey(c.Key)
}

// customBody is the part of a custom_event after the id.
type customBody struct {
	Room   string          `json:"room,omitempty"`
	Target string          `json:"target,omitempty"`
	User   string          `json:"user"`
	Name   string          `json:"name"`
	Data   json.RawMessage `json:"data,omitempty"`
	SentAt string          `json:"sent_at"`
}

func (c *Custom) body(p place, at time.Time) customBody {
	return customBody{Room: p.room, Target: p.other.Name, User: p.user.Name, Name: c.Name, Data: c.Data, SentAt: FormatTime(at)}
}

// key has its own namespace: an app can use the same keys for messages.
func (c *Custom) key() *Key {
	if c.Key == "" {
		return nil
	}
	d := Draft{Text: c.Name, Data: c.Data}
	return &Key{Name: "event\x1f" + c.Key, Fingerprint: d.fingerprint()}
}

// Emit appends c to a room's log. It returns the event and whether this call stored it, as Post does.
func (s *Service) Emit(ctx context.Context, v Viewer, room string, c Custom) (Event, bool, error) {
	if err := c.prepare(); err != nil {
		return Event{}, false, err
	}
	var e Event
	var fresh bool
	err := s.inRoom(ctx, v, room, func(u User, r RoomView) (err error) {
		if err := r.mayPost(s.now()); err != nil {
			return err
		}
		e, fresh, err = s.emit(ctx, placeIn(u, r), c)
		return err
	})
	return e, fresh, err
}

// EmitPrivate is Emit to a user: one event, in both inboxes.
func (s *Service) EmitPrivate(ctx context.Context, v Viewer, username string, c Custom) (Event, bool, error) {
	if err := c.prepare(); err != nil {
		return Event{}, false, err
	}
	var e Event
	var fresh bool
	err := s.withUser(ctx, v, username, func(u User, to Correspondent) (err error) {
		if err := to.mayGet(u); err != nil {
			return err
		}
		e, fresh, err = s.emit(ctx, placeWith(u, to.User), c)
		return err
	})
	return e, fresh, err
}

func (s *Service) emit(ctx context.Context, p place, c Custom) (Event, bool, error) {
	return s.store.Post(ctx, p.guard, Message{Event: p.event(TypeCustom, c.body(p, s.now()))}, c.key())
}

// Passing returns an event that is not stored, and the topics whose streams receive it. It fails if v may not send it
// there.
func (s *Service) Passing(ctx context.Context, v Viewer, room string, c Custom) (Ephemeral, []Topic, error) {
	if err := c.prepare(); err != nil {
		return Ephemeral{}, nil, err
	}
	r, err := s.MayPost(ctx, v, room)
	if err != nil {
		return Ephemeral{}, nil, err
	}
	p := place{room: r.Name, user: User{Name: v.Name}}
	return c.passing(p, s.now()), []Topic{RoomTopic(r.ID)}, nil
}

// PassingPrivate is Passing to a user.
func (s *Service) PassingPrivate(ctx context.Context, v Viewer, username string, c Custom) (Ephemeral, []Topic, error) {
	if err := c.prepare(); err != nil {
		return Ephemeral{}, nil, err
	}
	to, err := s.correspondent(ctx, v, username)
	if err == nil {
		err = to.mayGet(User{ID: v.User})
	}
	if err != nil {
		return Ephemeral{}, nil, err
	}
	topics := []Topic{InboxTopic(to.ID)}
	if to.ID != v.User {
		topics = append(topics, InboxTopic(v.User))
	}
	return c.passing(place{user: User{Name: v.Name}, other: to.User}, s.now()), topics, nil
}

func (c *Custom) passing(p place, at time.Time) Ephemeral {
	return ephemeral(TypeCustom, struct {
		Type string `json:"type"`
		customBody
	}{TypeCustom, c.body(p, at)})
}
