package realtime

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"tandem/activity"
	"tandem/chat"
	"tandem/panics"
)

const (
	// gapGrace is how long to wait for a gap in the ids to fill before reading the log.
	gapGrace = 10 * time.Millisecond
	// logPage is how many events one read of the log returns.
	logPage = 256
)

// headPace is the minimum time between reads of the log's head for opening streams. Nobody notices it, and a crowd that
// reconnects within seconds costs hundreds of reads, however large it is.
const headPace = 2 * time.Millisecond

// mostReaders is how many streams read the log at once: those of a crowd that was away for long take turns, each with a
// buffer, as a database has few connections anyway.
const mostReaders = 64

// Hub delivers the log's events, in order of id, to the streams that follow their topics.
type Hub struct {
	log       Log
	access    Access
	bus       Bus
	logger    *slog.Logger
	control   func(chat.ControlEvent)
	most      int // streams per user; 0 for no limit
	maxAge    time.Duration
	every     time.Duration
	renamed   func()
	latency   func(time.Duration)
	traces    Traces
	delivered func(log string, events []chat.Event, upto int64)
	node      string
	head      shared[chat.LogState]
	openRooms openRooms

	// in guards input from the bus; only its holder reads the log for the hub.
	in      sync.Mutex
	pending []chat.Event // after a gap, sorted by id
	gap     *time.Timer  // runs while there is a gap

	mu         sync.RWMutex
	name       string           // of the log
	nodes      map[string]*node // the other nodes
	heard      time.Time        // when this node last received its own message
	deaf       time.Time        // when it last did not
	stated     time.Time        // when it last sent the list of all its users
	owed       owed             // the list to send
	sum        uint64           // over everyone present on this node (see Presence.hash)
	lists      int64            // how many lists it has sent in pages
	reached    int              // how many nodes received its presence updates, including itself; 0 before the first
	leaving    time.Time        // until when its users count after its bye; zero before
	pos        int64            // every event up to it is, or was, in the ring
	ring       ring
	topics     map[chat.Topic]*topic
	site       *topic // presence on the whole site; never dropped
	streams    roster
	users      map[int64][]*Stream // only users with streams; never anonymous ones
	opening    int                 // streams between attach and the end of Open
	changes    []change            // since the first of the opening streams was attached
	dirty      []*topic            // topics whose streams must be woken
	anonymous  map[string]int      // streams without an account, by address
	meter      meter
	departures []*departure
	invisible  map[int64]bool       // users who count as absent for others
	floors     map[int64]int64      // the first id kept of each room that keeps less than the whole log
	gone       map[int64]time.Time  // users for lastSeen to write
	typing     map[typist]time.Time // when each was last announced
	draining   bool

	lastSeen func(ctx context.Context, users map[int64]time.Time) error // nil to skip

	met     chan struct{} // closed by meet
	meet    func()
	stalls  stalls
	sweeps  sweeps
	readers chan struct{} // one per stream that reads the log for a sweep
	poller  *poller       // nil if there is none: streams then use their own goroutines
	gate    *activity.Gate
	memory  memoryLimit
	serving sync.WaitGroup
}

// New returns a Hub at the log's head. It delivers while Run runs.
func New(ctx context.Context, log Log, access Access, bus Bus, cfg Config) (*Hub, error) {
	state, err := log.Head(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Control == nil {
		cfg.Control = func(chat.ControlEvent) {}
	}
	if cfg.Renamed == nil {
		cfg.Renamed = func() {}
	}
	if cfg.Delivered == nil {
		cfg.Delivered = func(string, []chat.Event, int64) {}
	}
	h := &Hub{
		log: log, access: access, bus: bus, logger: cfg.Logger, control: cfg.Control, name: state.Name, most: cfg.MaxStreams, maxAge: cfg.MaxAge,
		every: cmp.Or(cfg.LookEvery, time.Second), renamed: cfg.Renamed, latency: cfg.Latency, traces: cfg.Traces, delivered: cfg.Delivered, node: cfg.Node, nodes: make(map[string]*node), heard: time.Now(),
		head:      shared[chat.LogState]{read: log.Head, pace: headPace, logger: cfg.Logger},
		pos:       state.Head,
		ring:      ring{limit: cfg.RingBytes, floor: state.Head},
		topics:    make(map[chat.Topic]*topic),
		streams:   roster{began: time.Now()},
		users:     make(map[int64][]*Stream),
		typing:    make(map[typist]time.Time),
		invisible: make(map[int64]bool),
		floors:    make(map[int64]int64),
		anonymous: make(map[string]int),
		gone:      make(map[int64]time.Time),
		lastSeen:  cfg.LastSeen,
		readers:   make(chan struct{}, mostReaders),
		openRooms: openRooms{rooms: make(map[string]chat.Room)},
		gate:      cfg.Gate,
		memory:    memoryLimit{used: cfg.MemoryUsed, logger: cfg.Logger},
	}
	h.site = h.topic(siteTopic)
	if !cfg.Plain {
		h.poller = newPoller(h.logger)
	}
	h.beginToMeet()
	if cfg.RingBytes > 0 {
		h.recall(ctx, state)
	}
	if h.invisible, err = h.readInvisible(ctx); err != nil { // after recall, whose events may change it
		return nil, err
	}
	if h.floors, err = h.log.RoomFloors(ctx); err != nil {
		return nil, err
	}
	h.meter = meter{started: time.Now()} // ignore what was counted before
	return h, nil
}

// recalled is how many of the latest events a hub starts with: those missed by clients that reconnect after a restart.
const recalled = 4 * logPage

// recall fills the ring with the end of the log. If it cannot be read now, the hub's next poll does it.
func (h *Hub) recall(ctx context.Context, state chat.LogState) {
	h.in.Lock()
	defer h.in.Unlock()
	h.pos = max(state.Floor-1, state.Head-recalled, 0)
	h.ring.floor = h.pos
	_ = h.catchUp(ctx)
}

func (h *Hub) now() time.Time { return time.Now() }

// Run delivers until ctx ends.
func (h *Hub) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		panics.Keep(ctx, h.logger, "receiving from the bus", func() {
			h.bus.Receive(ctx, func(m Message) {
				if !h.do("a message of the bus", func() { h.receive(ctx, m) }) {
					h.do("a look at the log", func() { _ = h.look(ctx) }) // for what the message announced
				}
			})
		})
	})
	wg.Go(func() { h.repeat(ctx, h.every, "a look at the log", func(time.Time) { _ = h.look(ctx) }) })
	wg.Go(func() { h.repeat(ctx, time.Second, "the hub's clock", h.tick) })
	if h.lastSeen != nil {
		wg.Go(func() {
			h.repeat(ctx, lastSeenEvery, "writing who was last seen when", func(time.Time) { h.writeLastSeen(ctx) })
		})
	}
	if h.poller != nil {
		wg.Go(func() {
			panics.Keep(ctx, h.logger, "the poller of streams", func() { h.poller.run(ctx) })
		})
	}
	if h.node != "" {
		wg.Go(func() { h.repeat(ctx, aliveEvery, "saying that the node is alive", h.sayAlive) })
	}
	wg.Wait()
	h.in.Lock()
	if h.gap != nil {
		h.gap.Stop()
	}
	h.in.Unlock()
}

// do runs a step of the hub and reports whether it returned without a panic.
func (h *Hub) do(where string, step func()) bool { return panics.Do(h.logger, where, step) }

// repeat runs a step every d while the gate is open, even if the previous one panicked.
func (h *Hub) repeat(ctx context.Context, d time.Duration, where string, step func(now time.Time)) {
	h.gate.Every(ctx, d, func(now time.Time) { h.do(where, func() { step(now) }) })
}

// Wake catches up with what was missed while the gate was shut, before any caller passes: it reads the log and forgets
// who was present on the other nodes.
func (h *Hub) Wake(ctx context.Context) error {
	h.forgetOthers()
	return h.look(ctx)
}

// Busy reports whether there are streams.
func (h *Hub) Busy() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.streams.count > 0
}

// receive handles a message from the bus.
func (h *Hub) receive(ctx context.Context, m Message) {
	switch {
	case m.Notice != nil:
		h.notice(m.Notice)
	case m.Presence != nil:
		h.receivePresence(m.Presence)
	case m.Reached > 0:
		h.noteReached(m.Reached)
	case m.Commit != nil:
		if h.traces != nil {
			for id, parent := range m.Commit.Traces {
				h.traces.Came(id, parent)
			}
		}
		h.committed(ctx, m.Commit.Log, m.Commit.Events)
	default:
		h.introduce()
		_ = h.look(ctx)
	}
}
