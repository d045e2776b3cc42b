package followers

import (
	"context"
	"time"
)

// Leases are the cursors in the database, and who holds them. Each method that changes something does so in one
// transaction that holds the lock on the log's head, so that nodes run one after the other.
type Leases interface {
	// Ensure adds a follower that does not exist, at the log's head.
	Ensure(ctx context.Context, name string) error
	// Free reports whether Claim would find something: a free follower of these kinds, or a node that has not renewed
	// in time. It is one cheap read.
	Free(ctx context.Context, kinds []string) (bool, error)
	// Claim removes the nodes whose leases have expired, renews this node's, and gives it the leases of up to most free
	// followers of these kinds. held are those it has: others of its own are free too; nil if it is sure about that.
	Claim(ctx context.Context, node string, lease time.Duration, kinds []string, most int, held []string) ([]Lease, error)
	// Renew renews all of a node's leases. It reports whether the node still has any.
	Renew(ctx context.Context, node string, lease time.Duration) (bool, error)
	// Save writes the progress of followers, and reports for each whether its lease is still valid; otherwise nothing
	// of it was written.
	Save(ctx context.Context, all []Progress) (saved []bool, err error)
	// Release returns all of a node's leases, with their progress.
	Release(ctx context.Context, node string, all []Progress) error
}

// Lease is a follower held by a node.
type Lease struct {
	Name         string
	Epoch        int64 // grows with each lease of the follower
	Cursor       int64 // everything up to it is done
	Failures     int
	FailingSince time.Time
	RetryAt      time.Time // zero for at once
}

// Progress is a follower's progress. It changes nothing if its lease is not the latest.
type Progress struct {
	Lease
	Error  string // the last one, if it is failing
	Paused string // the reason if it is to be paused; else empty
}

// State is a follower as the database has it. If there is nothing for it to do, Cursor may be some minutes old.
type State struct {
	Name         string
	Cursor       int64
	Held         bool
	Paused       string // the reason; empty if it is not paused
	Failures     int    // in a row
	FailingSince time.Time
	RetryAt      time.Time
	Error        string
}
