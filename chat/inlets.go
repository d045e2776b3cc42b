package chat

import (
	"context"
	"errors"
	"time"
)

const (
	// MaxInlets is how many inlets a room can have.
	MaxInlets = 50
	// maxInletName is the longest name of an inlet, in characters.
	maxInletName = 64
	// botMark follows an inlet's name where events have usernames. Usernames cannot contain brackets, so clients that
	// know nothing about inlets do not take one for a user either.
	botMark = "[bot]"
	// ViaInlet marks messages from inlets.
	ViaInlet = "inlet"
)

// ErrNoInlet means that an inlet was deleted or never existed.
var ErrNoInlet = errors.New("no such inlet")

// Inlet is a URL through which another product posts to a room. It belongs to the room, not to its creator.
type Inlet struct {
	ID        int64
	Room      Room // its number and name
	Name      string
	CreatedBy string
	CreatedAt time.Time
}

// author returns the author's number of the inlet's messages. It belongs to no user, so nobody can edit the messages, and
// they are unread for everybody.
func (in Inlet) author() int64 { return -in.ID }

// CreateInlet creates an inlet of a room, for moderators. hash is the hash of its secret. It returns ErrForbidden,
// ErrLimitReached or an *Invalid.
func (s *Service) CreateInlet(ctx context.Context, v Viewer, room, name string, hash []byte) (made Inlet, err error) {
	if err := CheckLabel("name", name, maxInletName); err != nil {
		return Inlet{}, err
	}
	err = s.inRoom(ctx, v, room, func(u User, r RoomView) (err error) {
		if err := r.mayAct(moderator); err != nil {
			return err
		}
		made, err = s.store.CreateInlet(ctx, guard(r.Room, u), Inlet{Room: r.Room, Name: name, CreatedBy: u.Name, CreatedAt: s.now()}, hash)
		return err
	})
	return made, err
}

// Inlets lists a room's inlets, oldest first, for moderators.
func (s *Service) Inlets(ctx context.Context, v Viewer, room string) ([]Inlet, error) {
	view, err := s.view(ctx, v, room, func(r *RoomView) error { return r.mayAct(moderator) })
	if err != nil {
		return nil, err
	}
	return s.store.Inlets(ctx, view.ID)
}

// DeleteInlet deletes a room's inlet, for moderators. It returns ErrForbidden or ErrNoInlet.
func (s *Service) DeleteInlet(ctx context.Context, v Viewer, room string, id int64) error {
	return s.inRoom(ctx, v, room, func(u User, r RoomView) error {
		if err := r.mayAct(moderator); err != nil {
			return err
		}
		return s.store.DeleteInlet(ctx, guard(r.Room, u), r.ID, id)
	})
}

// InletOf returns the inlet whose secret has this hash, or ErrNoInlet.
func (s *Service) InletOf(ctx context.Context, hash []byte) (Inlet, error) {
	return s.store.InletOf(ctx, hash)
}

// PostByInlet posts a text to the inlet's room. It mentions nobody: names in the text of another product are those of
// its own users. With a key, a retry posts nothing and returns false; if within is not 0, a key that is older than that
// is not a retry.
func (s *Service) PostByInlet(ctx context.Context, in Inlet, text, key string, within time.Duration) (Event, bool, error) {
	d := Draft{Text: text}
	if err := d.prepare(); err != nil {
		return Event{}, false, err
	}
	var k *Key
	if key != "" {
		k = &Key{Name: key, Fingerprint: d.fingerprint()}
	}
	return s.store.PostByInlet(ctx, in.ID, inletMessage(in, &d, s.now()), k, within)
}

// inletMessage returns a message from an inlet.
func inletMessage(in Inlet, d *Draft, at time.Time) Message {
	t := d.text(User{Name: in.Name + botMark}, Mentions{}, at)
	t.Room, t.Via = in.Room.Name, ViaInlet
	return Message{Event: Event{Topic: RoomTopic(in.Room.ID), Type: TypeChatMessage, Author: in.author(), Body: t.body()}}
}
