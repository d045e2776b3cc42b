package chat

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"
)

// Deed is something that an admin or a moderator does, for the audit log. The store writes it in the transaction of the
// first write that succeeds with its context, so that neither is there without the other.
type Deed struct {
	Actor  int64 // who did it; 0 for the command line
	Via    string
	Token  int64  // the API token by which it was done, 0 for none
	Action string // the operation of openapi.yaml
	Room   string // the name of the room that it concerns, or empty
	Target string // the name of the user whom it concerns, or empty
	Object string // the number of the report, hook, inlet or message that it concerns, or empty
	Detail json.RawMessage

	recorded atomic.Bool
}

// How a deed was done.
const (
	ViaLogin       = "login"
	ViaToken       = "token"
	ViaCommandLine = "command_line"
)

// Recorded tells whether the audit log has the deed, or need not.
func (d *Deed) Recorded() bool { return d.recorded.Load() }

// SetRecorded is called by who has written it, or knows that it is no deed.
func (d *Deed) SetRecorded() { d.recorded.Store(true) }

type deedKey struct{}

// WithDeed is ctx for what does d.
func WithDeed(ctx context.Context, d *Deed) context.Context {
	return context.WithValue(ctx, deedKey{}, d)
}

// DeedOf is what is being done under ctx; nil where that is no deed.
func DeedOf(ctx context.Context) *Deed {
	d, _ := ctx.Value(deedKey{}).(*Deed)
	return d
}

// noDeed says that what is done concerns nobody but who does it.
func noDeed(ctx context.Context) {
	if d := DeedOf(ctx); d != nil {
		d.SetRecorded()
	}
}

// DoneDeed is an entry of the audit log. The names of users are those of now.
type DoneDeed struct {
	ID     int64
	At     time.Time
	Actor  string // empty for the command line
	Via    string
	Token  int64
	Action string
	Room   string
	Target string
	Object string
	Detail json.RawMessage // an object, or nil
}

// Deeds are, for admins, the limit latest entries of the audit log before that number; 0 is from the latest on.
func (s *Service) Deeds(ctx context.Context, v Viewer, before int64, limit int) ([]DoneDeed, error) {
	if _, err := s.admin(ctx, v); err != nil {
		return nil, err
	}
	return s.store.Deeds(ctx, before, limit)
}

// RecordDeed writes the deed of ctx into the audit log, unless it is there by now.
func (s *Service) RecordDeed(ctx context.Context) error {
	if d := DeedOf(ctx); d == nil || d.Recorded() {
		return nil
	}
	return s.store.RecordDeed(ctx)
}
