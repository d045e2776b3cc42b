package realtime

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tandem/activity"
	"tandem/chat"
)

var (
	// ErrDraining means that the node is stopping and opens no more streams.
	ErrDraining = errors.New("the server is restarting")
	// ErrTooManyStreams means that the user has the maximum number of streams.
	ErrTooManyStreams = errors.New("you have too many open streams; close one, or try again later")
)

// ErrAnonymous means that the requested stream needs a user, but nobody is logged in.
var ErrAnonymous = errors.New("log in to follow your rooms, and to see who is online")

// ErrExpired means that the viewer's token has expired.
var ErrExpired = errors.New("the access token has expired")

// Log reads the durable log.
type Log interface {
	Head(ctx context.Context) (chat.LogState, error)
	// Read returns, in order of id, the first limit events of the topics after each one's start, up to upto.
	Read(ctx context.Context, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error)
	// ReadAll is Read for all topics.
	ReadAll(ctx context.Context, after, upto int64, limit int) ([]chat.Event, error)
	// Start returns the id before the n-th last message of a topic, 0 if it has fewer.
	Start(ctx context.Context, topic chat.Topic, n int) (int64, error)
	// Shared returns up to which id a log of another name equals this one, 0 if it never did.
	Shared(ctx context.Context, name string) (int64, error)
	// Invisible returns the users who count as absent for others.
	Invisible(ctx context.Context) ([]int64, error)
	// RoomFloors returns the first id kept of each room that keeps less than the whole log.
	RoomFloors(ctx context.Context) (map[int64]int64, error)
	// WasAnother reports whether, at an id, that prepared name belonged to a room that has been deleted since.
	WasAnother(ctx context.Context, name string, id int64) (bool, error)
}

// Access answers which rooms a viewer may follow now. It never answers from a cache.
type Access interface {
	// Follow returns the rooms the viewer may follow, and the names of those they may not. It need not check the rooms
	// that open knows. It returns an error if the viewer's credentials have ended.
	Follow(ctx context.Context, v chat.Viewer, rooms []string, open chat.OpenRooms) (may []chat.Room, missing []string, err error)
	// OpenRoom returns the room with that prepared name, or an error if not everyone may follow it.
	OpenRoom(ctx context.Context, name string) (chat.Room, error)
	// Memberships returns the rooms that the viewer is a member of.
	Memberships(ctx context.Context, v chat.Viewer) ([]chat.Membership, error)
}

// Traces follows traced events on their way to streams. Its methods must not block.
type Traces interface {
	// Came is called with an event's traceparent before streams get the event.
	Came(id int64, parent string)
	// Handed is called for every durable event that is handed to a stream.
	Handed(id int64)
}

// Config configures a Hub.
type Config struct {
	RingBytes  int // how much of the recent log to keep in memory; 0 for none
	MaxStreams int // per user, over all transports; 0 for no limit
	// MaxAge is how long a stream may last, ± 10 %, before its client must reconnect; a poll does not wait longer. 0 is
	// unlimited.
	MaxAge time.Duration
	// Plain serves every stream with its own goroutines, as over TLS and HTTP/2, and on systems other than Linux.
	Plain  bool
	Logger *slog.Logger
	// MemoryUsed returns the share of the process's memory limit that is in use, as of the last garbage collection, or
	// of one that it runs if collect is set. Nil is no limit.
	MemoryUsed func(collect bool) float64
	// LookEvery is how often the hub polls the log's head even if the bus reports nothing missing; 0 is a second. Other
	// processes write too, such as the command line, and a user it disables must be gone within a second. With other
	// nodes, it is also how late their events arrive while the bus is down.
	LookEvery time.Duration
	// Gate is shut while nobody needs the hub, which then stands still; nil is always open.
	Gate *activity.Gate
	// Node is this node's name among those that share the bus; empty if it is alone.
	Node string
	// LastSeen stores when the last streams of these users ended on this node. Nil to skip.
	LastSeen func(ctx context.Context, users map[int64]time.Time) error
	// Renamed is called when the log is a different one: another database has taken over, and anything cached from the
	// old one may be wrong. Nil to skip.
	Renamed func()
	// Control is called with each control event, in the log's order, before the streams that it ends. Caches of
	// credentials drop them then. Nil to skip.
	Control func(chat.ControlEvent)
	// Traces follows events by their traces. Nil to skip.
	Traces Traces
	// Latency is called for a sample of events with the time from sending to delivery. It must not block. Nil to skip.
	Latency func(time.Duration)
	// Delivered is called after the streams with everything delivered: events of the log of that name, in order, and
	// complete up to upto. It must not block. Nil to skip.
	Delivered func(log string, events []chat.Event, upto int64)
}
