package followers

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tandem/activity"
	"tandem/chat"
	"tandem/panics"
)

// Log reads the durable log.
type Log interface {
	Head(ctx context.Context) (chat.LogState, error)
	// Read returns, in order of id, the first limit events of the topics after each one's start, up to upto.
	Read(ctx context.Context, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error)
	// ReadAll is Read for all topics.
	ReadAll(ctx context.Context, after, upto int64, limit int) ([]chat.Event, error)
}

// Config configures a Runner.
type Config struct {
	// Lease is how long a silent node keeps its followers; 0 is 15 s. Leases are renewed, and free followers searched
	// for, three times as often.
	Lease  time.Duration
	Gate   *activity.Gate // while it is shut, the node returns its leases and does nothing by the clock; nil is always open
	Logger *slog.Logger   // nil for none
}

const (
	// lease is long enough for a database failover, and for a busy machine.
	lease = 15 * time.Second
	// pace is how often a follower is woken at most: once per commit would cost the posts' processor time.
	pace = 50 * time.Millisecond
	// saveAfter is how long a cursor that moves without work may stay unwritten.
	saveAfter = time.Minute
	// leaveGrace is how long a batch may take to end when the program stops, before it is cancelled.
	leaveGrace = time.Second
	// mostClaimed is how many leases are claimed at once, so that other nodes get some too.
	mostClaimed = 200
	// mostReads is how many followers read the log at once: those that are behind leave room for requests.
	mostReads = 3
	// soon: work due within this time keeps the gate open; later work is done when the node wakes.
	soon = time.Minute
)

// Runner runs followers. Its methods may be called concurrently.
type Runner struct {
	log    Log
	leases Leases
	lease  time.Duration
	gate   *activity.Gate
	logger *slog.Logger

	reads chan struct{} // one slot per follower that reads the log
	free  chan struct{} // a follower was changed: one may be free

	mu       sync.Mutex
	running  bool           // Run runs
	stopped  bool           // it has
	working  sync.WaitGroup // followers' goroutines; added to while Run runs
	name     string         // the log's; empty while unknown
	head     int64
	recent   recent
	kinds    map[string]Kind
	singles  []string // names to be ensured
	locals   []*running
	held     map[string]*running // leased by this node
	byTopic  map[chat.Topic][]*running
	all      []*running // those that follow all topics
	due      []*running // to be woken
	waking   bool       // a timer is running that wakes them
	saves    []*save    // waiting to be written
	saving   bool
	node     string      // this node's name; empty while it holds nothing
	until    time.Time   // when its leases end
	expiry   *time.Timer // ends them then
	doubt    bool        // the database may have more leases for this node than it knows
	unloaded []Lease     // held, but not loaded yet
	looked   time.Time   // when the last successful search for free followers began
}

// New returns a Runner without followers. It runs them while Run runs.
func New(log Log, leases Leases, cfg Config) *Runner {
	return &Runner{
		log: log, leases: leases, lease: cmp.Or(cfg.Lease, lease), gate: cfg.Gate,
		logger:  cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		reads:   make(chan struct{}, mostReads),
		free:    make(chan struct{}, 1),
		kinds:   make(map[string]Kind),
		held:    make(map[string]*running),
		byTopic: make(map[chat.Topic][]*running),
	}
}

// AddKind runs the followers of that kind. Call it before Run.
func (r *Runner) AddKind(k Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kinds[k.Name] = k
}

// Add runs a single follower; the first time it starts at the log's head. Call it before Run.
func (r *Runner) Add(f Follower) {
	r.AddKind(Kind{Name: f.Name, Load: func(context.Context, []string) ([]Follower, error) { return []Follower{f}, nil }})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.singles = append(r.singles, f.Name)
}

// AddLocal runs a follower of this node. Call it before Run.
func (r *Runner) AddLocal(l Local) *Position {
	f := newRunning(l.Follower, Lease{})
	f.cursor = l.Cursor
	r.mu.Lock()
	defer r.mu.Unlock()
	r.locals = append(r.locals, f)
	r.list(f)
	return &Position{r, f}
}

// AddJob runs a job. Call it before Run.
func (r *Runner) AddJob(j Job) {
	f := newRunning(Follower{Name: j.Name}, Lease{})
	f.cursor = func(context.Context) (int64, error) { return 0, nil }
	f.job = j.Do
	r.mu.Lock()
	defer r.mu.Unlock()
	r.locals = append(r.locals, f)
}

// Tell is called with what was added to the log of that name, in order and without gaps: events, and that there is
// nothing else up to upto. Anything else that a follower needs is read from the log. It does not block.
func (r *Runner) Tell(log string, events []chat.Event, upto int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if log != r.name {
		r.restart(log, upto)
		return
	}
	was := r.head
	deleted := false
	for i := range events {
		e := &events[i]
		if e.ID <= r.head {
			continue
		}
		r.head = e.ID
		r.recent.add(e)
		switch e.Topic {
		case chat.Control:
			deleted = r.control(e) || deleted
			for _, f := range r.all {
				if f.Control {
					r.concern([]*running{f}, was)
				}
			}
			continue
		}
		deleted = deleted || e.Type == chat.TypeMessageDeleted
		r.concern(r.byTopic[e.Topic], was)
		if e.Also != chat.NoTopic {
			r.concern(r.byTopic[e.Also], was)
		}
		r.concern(r.all, was)
	}
	if r.head = max(r.head, upto); r.head == was {
		return
	}
	if deleted { // the log, which is read instead, no longer has the text
		r.recent.reset(r.head)
	}
	r.wakeDue()
}

// concern records that there is something for these followers; head is the log's previous head. The caller holds r.mu.
func (r *Runner) concern(followers []*running, head int64) {
	for _, f := range followers {
		if f.current {
			f.current, f.pos = false, max(f.pos, head)
			r.due = append(r.due, f)
		}
	}
}

// wakeDue wakes the due followers in a moment, together with those that become due by then. The caller holds r.mu.
func (r *Runner) wakeDue() {
	if len(r.due) == 0 || r.waking || !r.running {
		return
	}
	r.waking = true
	time.AfterFunc(pace, func() {
		panics.Do(r.logger, "waking followers", func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.waking = false
			for _, f := range r.due {
				r.start(f)
			}
			r.due = nil
		})
	})
}

// start starts a follower's work, unless it is running. The caller holds r.mu.
func (r *Runner) start(f *running) {
	if f.active || f.left() || !r.running {
		return
	}
	f.active, f.current = true, false
	r.working.Go(func() { r.work(f) })
}

// restart starts over with another log, or the first one: the database has the cursors. The caller holds r.mu.
func (r *Runner) restart(log string, head int64) {
	if r.name != "" {
		r.dropAll()
		r.lookSoon()
	}
	r.name, r.head = log, head
	r.recent.reset(head)
	for _, f := range r.locals {
		f.moved = true
		r.start(f)
	}
}

// control handles a control event, and reports whether texts were deleted: some announce that, and some that a follower
// was changed. The caller holds r.mu.
func (r *Runner) control(e *chat.Event) (deleted bool) {
	c, err := chat.ParseControl(*e)
	if err != nil || c.Follower == "" {
		return len(c.Expired) > 0
	}
	if f := r.held[c.Follower]; f != nil && f.lease.Epoch < c.Epoch {
		r.drop(f)
	}
	r.unloaded = slices.DeleteFunc(slices.Clone(r.unloaded), func(l Lease) bool { return l.Name == c.Follower && l.Epoch < c.Epoch })
	r.lookSoon()
	return false
}

// lookSoon makes Run search for free followers.
func (r *Runner) lookSoon() {
	select {
	case r.free <- struct{}{}:
	default:
	}
}

// Wake makes a waiting follower of this node retry now.
func (r *Runner) Wake(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.held[name]; f != nil {
		f.nudge()
		r.start(f)
	}
}

// Busy reports whether a follower is working, or will be soon: the node must not fall silent then. It is also true until
// the node has searched for followers of nodes that were dead when it was last called: what was posted here must be
// handled even if nobody calls again.
func (r *Runner) Busy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running && len(r.kinds) > 0 && r.looked.Before(r.gate.Last().Add(r.lease)) {
		return true
	}
	if len(r.due) > 0 || len(r.saves) > 0 || r.saving {
		return true
	}
	latest := time.Now().Add(soon)
	for _, f := range r.held {
		if f.busy(latest) {
			return true
		}
	}
	for _, f := range r.locals {
		if f.busy(latest) {
			return true
		}
	}
	return false
}

// Stat is the state of a follower that this node runs.
type Stat struct {
	Name     string
	Held     bool  // leased; false for a follower of this node only
	Lag      int64 // how many events it is behind the head
	Failures int   // in a row
}

// Stats returns those of the followers that this node runs.
func (r *Runner) Stats() []Stat {
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := make([]Stat, 0, len(r.held)+len(r.locals))
	add := func(f *running, held bool) {
		s := Stat{Name: f.Name, Held: held, Failures: f.lease.Failures}
		if !f.current && f.job == nil {
			s.Lag = max(0, r.head-f.pos)
		}
		stats = append(stats, s)
	}
	for _, f := range r.locals {
		add(f, false)
	}
	for _, f := range r.held {
		add(f, true)
	}
	return stats
}

// Position is a Local's position.
type Position struct {
	r *Runner
	f *running
}

// ErrStopped means that the runner has stopped.
var ErrStopped = errors.New("the followers of the log have stopped")

// Reach waits until the follower has handled everything up to id, which must be in the log. Meanwhile it does not rest.
// If ctx ends first, Reach returns the follower's error, if it failed.
func (p *Position) Reach(ctx context.Context, id int64) error {
	r, f := p.r, p.f
	for first := true; ; first = false {
		r.mu.Lock()
		if r.stopped {
			r.mu.Unlock()
			return ErrStopped
		}
		if f.pos >= id || f.current && r.head >= id {
			r.mu.Unlock()
			return nil
		}
		f.hurry = max(f.hurry, id) // also beyond what was announced
		if first {
			f.nudge()
		}
		r.start(f)
		step, failed := f.step, f.err
		r.mu.Unlock()
		select {
		case <-step: // also when it stops
		case <-ctx.Done():
			return errors.Join(ctx.Err(), failed)
		}
	}
}

func nodeName() string { return rand.Text() }
