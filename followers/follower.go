// Package followers runs what consumes the log: the search index, hooks, push. A follower is a name, a cursor and a
// function of the log's events in order. The function completes before the cursor moves, so every event is handled at
// least once, across crashes, nodes and days of absence; after a crash the last batch may come twice.
//
// Of the nodes that share a database, one runs a follower at a time: it holds its lease. The Runner is told about
// events by the hub, keeps the latest in memory, and reads the log for a follower that is behind. A follower with
// nothing to do costs nothing: no goroutine, no query, no write. One that fails only delays itself.
//
// Run is the Runner's own goroutine; there is one more for each follower that has something to do. All have ended when
// Run returns. The package never imports api, realtime or store.
package followers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tandem/chat"
)

// Follower handles the log's events.
type Follower struct {
	// Name is unique in the database: "push", or "hook:7" for one of many of a kind.
	Name string
	// Topics are those whose events it gets; nil is all. Events in other topics cost it nothing.
	Topics []chat.Topic
	// Wants reports whether it gets an event; nil is every event. It must be quick, without database queries.
	Wants func(e *chat.Event) bool
	// Control: it gets control events too.
	Control bool
	// Batch is the maximum number of events per batch; 0 is 100.
	Batch int
	// Rest returns how long it rests after a batch that took that long, even if there is more; nil is not at all.
	Rest func(took time.Duration) time.Duration
	// Handle handles a batch; when it returns nil or ErrNothing, the cursor moves. After an error the same events come
	// again, after a second and then at growing intervals up to an hour; see Later and Pause. ctx ends with the lease,
	// and when the program stops.
	Handle func(ctx context.Context, b Batch) error
}

// Batch is what a follower handles at a time.
type Batch struct {
	Log    string       // the log's name, which the ids belong to
	Events []chat.Event // the wanted events, ordered by id; shared, do not change them
	Upto   int64        // all wanted events up to it are in Events or came before
	// Failures counts consecutive failures, and FailingSince is when they began: across leases, nodes and restarts.
	Failures     int
	FailingSince time.Time
}

// Kind is a kind of follower that the database has any number of. They are added, changed and removed there (store:
// addFollower, changeFollower, removeFollower), in the transaction that concerns them; all nodes are notified.
type Kind struct {
	Name string // the part of its followers' names before the colon
	// Load returns the followers with these names. One that it leaves out does not run until it is changed.
	Load func(ctx context.Context, names []string) ([]Follower, error)
}

// KindOf returns the kind of the follower with that name: the part before the colon, or all of it.
func KindOf(name string) string {
	kind, _, _ := strings.Cut(name, ":")
	return kind
}

// Job is what each node does periodically while it is not silent; it returns the time of its next run. After an error
// it is retried like a follower. It has no events and no cursor, and must be safe to run on several nodes.
type Job struct {
	Name string
	Do   func(ctx context.Context) (again time.Duration, err error)
}

// Local is a follower of this node only, which stores its cursor itself, together with its results: it needs no lease.
// Handle moves it to Batch.Upto, and may return ErrMoved.
type Local struct {
	Follower
	// Cursor returns its position.
	Cursor func(ctx context.Context) (int64, error)
}

// ErrNothing is returned by Handle if there was nothing to do: the cursor moves, and is written when there is another
// reason to.
var ErrNothing = errors.New("there was nothing to do")

// ErrMoved is returned by a Local's Handle if its cursor differs from what the Runner knows: another process moved it.
var ErrMoved = errors.New("another node moved the cursor")

// Later is returned by Handle to be called again after a given time.
type Later struct {
	After time.Duration
	// the position reached nevertheless; 0 for none
	Done int64
	// Err is why it failed; nil if it did not, and it is only too early.
	Err error
}

func (l *Later) Error() string {
	if l.Err == nil {
		return fmt.Sprintf("again in %s", l.After)
	}
	return l.Err.Error()
}

func (l *Later) Unwrap() error { return l.Err }

// Pause is returned by Handle to pause the follower until it is changed.
type Pause struct{ Reason string }

func (p *Pause) Error() string { return p.Reason }
