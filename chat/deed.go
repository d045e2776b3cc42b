package chat

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"
)

// Deed is something that an admin or a moderator does, for the audit log. The store writes it in the transaction of the
// first write that succeeds with its context, so that neither exists without the other.
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

// Recorded reports whether the audit log has the deed, or need not have it.
func (d *Deed) Recorded() bool { return d.recorded.Load() }

// SetRecorded is called once the deed has been written, or need not be.
func (d *Deed) SetRecorded() { d.recorded.Store(true) }

type deedKey struct{}

// WithDeed returns ctx for an operation that does d.
func WithDeed(ctx context.Context, d *Deed) context.Context {
	return context.WithValue(ctx, deedKey{}, d)
}

// DeedOf returns the deed of ctx; nil if there is none.
func DeedOf(ctx context.Context) *Deed {
	d, _ := ctx.Value(deedKey{}).(*Deed)
	return d
}

// noDeed records that the operation concerns only the user who performs it.
func noDeed(ctx context.Context) {
	if d := DeedOf(ctx); d != nil {
		d.SetRecorded()
	}
}

// DoneDeed is an entry of the audit log. Usernames are the current ones.
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

// Deeds returns, for admins, the latest entries of the audit log before that number, at most limit; 0 starts at the latest.
func (s *Service) Deeds(ctx context.Context, v Viewer, before int64, limit int) ([]DoneDeed, error) {
	if _, err := s.admin(ctx, v); err != nil {
		return nil, err
	}
	return s.store.Deeds(ctx, before, limit)
}

// RecordDeed writes the deed of ctx to the audit log, unless it is already there.
func (s *Service) RecordDeed(ctx context.Context) error {
	if d := DeedOf(ctx); d == nil || d.Recorded() {
		return nil
	}
	return s.store.RecordDeed(ctx)
}
