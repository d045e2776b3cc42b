package realtime

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tandem/activity"
	"tandem/chat"
	"tandem/panics"
)

var (
	// ErrDraining means that the node is stopping and opens no more streams.
	ErrDraining = errors.New("the server is restarting")
	// ErrTooManyStreams means that the user has as many streams as one may have.
	ErrTooManyStreams = errors.New("you have too many streams open; close one, or come back later")
)

// ErrAnonymous means that the stream that was asked for is one of a user, and nobody has logged in.
var ErrAnonymous = errors.New("log in for your rooms, and for who is online")

// ErrExpired means that the viewer's token has expired.
var ErrExpired = errors.New("the access token has expired")

// Log is the durable log, read.
type Log interface {
	Head(ctx context.Context) (chat.LogState, error)
	// Read returns, in order of id, the first limit events of the topics behind each one's start, up to upto.
	Read(ctx context.Context, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error)
	// ReadAll is Read for every topic.
	ReadAll(ctx context.Context, after, upto int64, limit int) ([]chat.Event, error)
	// Start is the id before the n-th last message of a topic, 0 where it has fewer.
	Start(ctx context.Context, topic chat.Topic, n int) (int64, error)
	// Shared is up to which id a log that had another name is this one, 0 if it never was.
	Shared(ctx context.Context, name string) (int64, error)
	// WasAnother tells whether a room that has been deleted since had that prepared name at an id.
	WasAnother(ctx context.Context, name string, id int64) (bool, error)
}

// Access says which rooms a viewer may follow now; missing are those that they may not. It returns an error where
// the viewer's credentials have ended. It never answers from a cache of its own.
type Access interface {
	// Follow need not look at the rooms that open knows.
	Follow(ctx context.Context, v chat.Viewer, rooms []string, open chat.OpenRooms) (may []chat.Room, missing []string, err error)
	// OpenRoom is the room with that prepared name; an error where it is not one that everybody may follow.
	OpenRoom(ctx context.Context, name string) (chat.Room, error)
	// Memberships are the rooms that the viewer is a member of.
	Memberships(ctx context.Context, v chat.Viewer) ([]chat.Membership, error)
}

// Config is what a Hub needs to know.
type Config struct {
	RingBytes  int // how much of the recent log to keep in memory; 0 is nothing
	MaxStreams int // of one user at once, over all transports; 0 is no limit
	// Plain serves every stream by goroutines of its own, as over TLS and HTTP/2, and on other systems than Linux.
	Plain  bool
	Logger *slog.Logger
	// LookEvery is how often the hub looks at the log's head although the bus says nothing is missing; 0 is a second.
	// Another process may write too, such as the command line, and whom it disables is to be gone within a second;
	// where there are other nodes it is also how late their events are while the bus is down.
	LookEvery time.Duration
	// Gate says when nobody needs the hub; nil is never. It stands still then.
	Gate *activity.Gate
	// Node is this node's name among those that share the bus; empty where it is alone.
	Node string
	// Renamed is called when the log is another than before: another database has taken over, and what is remembered of
	// the old one may not be so. Nil is nobody.
	Renamed func()
	// Control is told of each control event, in the log's order, before the streams that it ends are. Whoever
	// remembers credentials forgets them then. Nil is nobody.
	Control func(chat.ControlEvent)
}

const (
	// straggle is how long a hole in the ids may fill by itself before the log is read.
	straggle = 10 * time.Millisecond
	// logPage is how many events one read of the log brings.
	logPage = 256
)

// headPace is how often the log's head is read at most for streams that open: nobody notices it, and a crowd that comes
// back within seconds costs hundreds of reads, however large it is.
const headPace = 2 * time.Millisecond

// Hub brings the log's events, in the order of their ids, to the streams that follow their topics.
type Hub struct {
	log       Log
	access    Access
	bus       Bus
	logger    *slog.Logger
	tell      func(chat.ControlEvent)
	most      int // streams of a user; 0 is no limit
	every     time.Duration
	renamed   func()
	node      string
	head      shared[chat.LogState]
	openRooms openRooms

	// in guards what comes from the bus; its holder alone reads the log for the hub.
	in      sync.Mutex
	pending []chat.Event // ahead of a hole, sorted by id
	gap     *time.Timer  // runs while there is a hole

	mu         sync.RWMutex
	name       string           // the log's
	nodes      map[string]*node // the others
	heard      time.Time        // when this node last heard itself
	deaf       time.Time        // when it last did not
	stated     time.Time        // when it last stated all its people
	owed       owed             // what it is about to state
	reached    int              // how many nodes its statements went to, itself included; 0 before the first
	leaving    time.Time        // until when its people count after its bye; zero before
	pos        int64            // every event up to it is in the ring, or was
	ring       ring
	topics     map[chat.Topic]*topic
	streams    roster
	users      map[int64][]*Stream // nobody is in it with none; the anonymous never are
	opening    int                 // streams that are between attach and the end of Open
	changes    []change            // since the first of these was attached
	dirty      []*topic            // whose streams are to be woken
	anonymous  map[string]int      // streams of nobody's account by address
	meter      meter
	departures []departure
	typing     map[typist]time.Time // when each was last told of
	draining   bool

	met     chan struct{} // closed by meet
	meet    func()
	stalls  stalls
	sweeps  sweeps
	poller  *poller // nil where there is none: streams then have goroutines of their own
	gate    *activity.Gate
	serving sync.WaitGroup
}

// New returns a Hub that stands at the log's head. It delivers while Run runs.
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
	h := &Hub{
		log: log, access: access, bus: bus, logger: cfg.Logger, tell: cfg.Control, name: state.Name, most: cfg.MaxStreams,
		every: cmp.Or(cfg.LookEvery, time.Second), renamed: cfg.Renamed, node: cfg.Node, nodes: make(map[string]*node), heard: time.Now(),
		head:      shared[chat.LogState]{read: log.Head, pace: headPace, logger: cfg.Logger},
		pos:       state.Head,
		ring:      ring{limit: cfg.RingBytes, floor: state.Head},
		topics:    make(map[chat.Topic]*topic),
		streams:   roster{began: time.Now()},
		users:     make(map[int64][]*Stream),
		typing:    make(map[typist]time.Time),
		anonymous: make(map[string]int),
		openRooms: openRooms{rooms: make(map[string]chat.Room)},
		gate:      cfg.Gate,
	}
	if !cfg.Plain {
		h.poller = newPoller(h.logger)
	}
	h.beginToMeet()
	if cfg.RingBytes > 0 {
		h.recall(ctx, state)
	}
	h.meter = meter{started: time.Now()} // what was before does not count
	return h, nil
}

// recalled is how many of the latest events a hub begins with: those that clients have missed who come back after a
// restart.
const recalled = 4 * logPage

// recall fills the ring with the end of the log. Where that cannot be read now, the hub's next look does it.
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
					h.do("a look at the log", func() { _ = h.look(ctx) }) // for what the message was about
				}
			})
		})
	})
	wg.Go(func() { h.repeat(ctx, h.every, "a look at the log", func(time.Time) { _ = h.look(ctx) }) })
	wg.Go(func() { h.repeat(ctx, time.Second, "the hub's clock", h.tick) })
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

// do runs a step of the hub's and reports whether it returned rather than panicked.
func (h *Hub) do(where string, step func()) bool { return panics.Do(h.logger, where, step) }

// repeat runs a step each d while the gate is open, whether the one before panicked or not.
func (h *Hub) repeat(ctx context.Context, d time.Duration, where string, step func(now time.Time)) {
	h.gate.Every(ctx, d, func(now time.Time) { h.do(where, func() { step(now) }) })
}

// Wake makes up for what was missed while the gate was shut, before anybody is let through: it reads the log, and
// forgets who was present on the other nodes.
func (h *Hub) Wake(ctx context.Context) error {
	h.forgetOthers()
	return h.look(ctx)
}

// Busy tells whether there are streams.
func (h *Hub) Busy() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.streams.count > 0
}

// receive takes a message from the bus.
func (h *Hub) receive(ctx context.Context, m Message) {
	switch {
	case m.Notice != nil:
		h.notice(m.Notice)
	case m.Statement != nil:
		h.hear(m.Statement)
	case m.Reached > 0:
		h.noteReached(m.Reached)
	case m.Commit != nil:
		h.committed(ctx, m.Commit.Log, m.Commit.Events)
	default:
		h.introduce()
		_ = h.look(ctx)
	}
}

// committed takes a batch from the bus. What follows the position goes on; a hole may fill for a moment, then the log
// is read. What is of another log is only a reason to look.
func (h *Hub) committed(ctx context.Context, log string, batch []chat.Event) {
	h.in.Lock()
	defer h.in.Unlock()
	if log != h.name { // only the holder of h.in changes it
		_ = h.catchUp(ctx)
		return
	}
	h.pending = append(h.pending, batch...)
	if len(h.pending) > len(batch) { // stragglers come in any order
		slices.SortFunc(h.pending, func(a, b chat.Event) int { return int(a.ID - b.ID) })
	}
	h.takePending()
	if len(h.pending) > 0 && h.gap == nil {
		h.gap = time.AfterFunc(straggle, func() {
			h.do("a hole in the ids", func() {
				h.in.Lock()
				defer h.in.Unlock()
				h.gap = nil
				if len(h.pending) > 0 && ctx.Err() == nil {
					_ = h.catchUp(ctx)
				}
			})
		})
	}
}

// takePending delivers the pending events that follow the position without a hole. h.in is held.
func (h *Hub) takePending() {
	next := h.pos + 1 // only the holder of h.in moves it
	from := 0
	for from < len(h.pending) && h.pending[from].ID < next {
		from++ // known already
	}
	to := from
	for to < len(h.pending) && h.pending[to].ID <= next {
		if h.pending[to].ID == next {
			next++
		}
		to++
	}
	if to > from {
		h.deliver(h.pending[from:to], next-1)
	}
	h.pending = slices.Delete(h.pending, 0, to)
	if len(h.pending) == 0 {
		h.pending = nil // the batch's memory is not ours to keep
	}
}

// look reads the log if its head is ahead of the hub.
func (h *Hub) look(ctx context.Context) error {
	h.in.Lock()
	defer h.in.Unlock()
	return h.catchUp(ctx)
}

// catchUp reads the log up to its head. After reading (a, b] the position is b, whatever rows came. Where the
// log cannot be read the next look tries again. h.in is held.
func (h *Hub) catchUp(ctx context.Context) error {
	state, err := h.log.Head(ctx)
	if err == nil && state.Name != h.name {
		h.restart(state)
	}
	for err == nil && h.pos < state.Head {
		upto := min(state.Head, h.pos+logPage)
		var events []chat.Event
		if events, err = h.log.ReadAll(ctx, h.pos, upto, logPage); err == nil {
			h.meter.caughtUp.Add(uint64(len(events)))
			h.deliver(events, upto)
		}
	}
	if err != nil && ctx.Err() == nil {
		h.logger.Warn("reading the log failed; trying again", "error", err)
		return err
	}
	h.takePending()
	return err
}

// restart begins anew with another log. The clients come back, and their cursors are judged. h.in is held.
func (h *Hub) restart(state chat.LogState) {
	h.logger.Warn("the log has another name: another database has taken over", "was", h.name, "is", state.Name)
	h.renamed()
	h.pending = nil
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.streams.all() {
		s.sendBack()
	}
	h.name, h.pos = state.Name, state.Head
	h.emptyRing()
}

// emptyRing forgets all events, so that every stream reads the log from its cursor on. Hub.mu is held.
func (h *Hub) emptyRing() {
	for _, t := range h.topics {
		t.entries = nil
		h.forgetIfUnused(t)
	}
	h.openRooms.forget()
	next := h.ring.seq + 1 // ahead of the streams that had everything, too
	h.ring = ring{limit: h.ring.limit, seq: next, evicted: next, floor: h.pos}
}

// deliver puts events into the ring, moves the position to upto, has streams follow more or less, and wakes who
// follows. h.in is held.
func (h *Hub) deliver(events []chat.Event, upto int64) {
	controls := h.controls(events)
	h.mu.Lock()
	defer h.unlockAndWake()
	for i := range events {
		e := &events[i]
		if e.ID <= h.pos {
			continue // doubled by the bus
		}
		h.pos = e.ID
		var c chat.ControlEvent
		if e.Topic == chat.Control {
			c, controls = controls[0], controls[1:]
		}
		if !h.do("an event of the log", func() { h.take(e, c) }) {
			h.distrust(e)
		}
	}
	h.pos = upto
}

// take does what one event does: c is what a control event says. Hub.mu is held.
func (h *Hub) take(e *chat.Event, c chat.ControlEvent) {
	if e.Topic == chat.Control {
		h.endStreams(c)
		if change, ok := changeByControl(e.ID, c); ok {
			h.apply(change)
		}
		return
	}
	if e.Type == chat.TypeMessageDeleted {
		h.scrub(*e)
	}
	n := &entry{id: e.ID, at: e.ID, typ: e.Type, json: e.JSON(), topics: [2]*topic{h.topic(e.Topic)}}
	if e.Also != chat.NoTopic {
		n.topics[1] = h.topic(e.Also)
	}
	if e.Type == chat.TypeChatMessage {
		h.meter.posts.Add(1)
	}
	h.put(n)
	if change, ok := changeBy(e); ok {
		h.apply(change)
	}
}

// distrust is called where taking e failed half way. The ring may lack it, so every stream reads the log instead; what
// it changes in who follows what may not have been done, so those that it may concern come back and are judged anew.
// Hub.mu is held.
func (h *Hub) distrust(e *chat.Event) {
	for s := range h.streams.all() {
		concerned := e.Topic == chat.Control || len(s.follows) == 0 || s.all // of all of its rooms, or still to open
		for i := 0; i < len(s.follows) && !concerned; i++ {
			key := s.follows[i].topic.key
			concerned = key == e.Topic || key == e.Also
		}
		if concerned {
			s.sendBack()
		}
	}
	h.emptyRing()
}

// put puts an entry into the ring, and its topics among those whose streams are woken. Hub.mu is held.
func (h *Hub) put(e *entry) {
	h.ring.push(e)
	for _, t := range e.topics {
		if t != nil && !t.dirty && len(t.subs) > 0 {
			t.dirty = true
			h.dirty = append(h.dirty, t)
		}
	}
	h.ring.evict(h.forgetIfUnused)
}

// unlockAndWake gives Hub.mu back and then wakes the streams of what changed under it: woken before, they would only
// wait for it.
func (h *Hub) unlockAndWake() {
	dirty := h.dirty
	h.dirty = nil
	for _, t := range dirty {
		t.dirty = false
	}
	h.mu.Unlock()
	if len(dirty) == 0 {
		return
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	var some [256]*Stream
	roused := some[:0]
	for _, t := range dirty {
		for _, s := range t.subs {
			if s.rouse() {
				roused = append(roused, s)
			}
			if len(roused) == len(some) { // a large room's first are written to while its last are roused
				h.sweeps.add(roused...)
				roused = some[:0]
			}
		}
	}
	h.sweeps.add(roused...)
}

// controls parses the control events among these that are new, and has told Control of them when it returns:
// a stream that is being opened either is attached, and ended by deliver, or has its credentials checked after
// they were forgotten here. h.in is held.
func (h *Hub) controls(events []chat.Event) (found []chat.ControlEvent) {
	last := h.pos
	for _, e := range events {
		if e.ID <= last {
			continue
		}
		last = e.ID
		if e.Topic != chat.Control {
			continue
		}
		c, err := chat.ParseControl(e)
		if err != nil {
			h.logger.Error("a control event cannot be read", "id", e.ID, "error", err)
		}
		if !h.do("telling of a control event", func() { h.tell(c) }) {
			h.do("forgetting credentials", h.renamed) // all of them are safe to forget
		}
		found = append(found, c)
	}
	return found
}

// endStreams ends the streams whose credentials have ended, before later events are in the ring. h.mu is held.
func (h *Hub) endStreams(c chat.ControlEvent) {
	for s := range h.streams.all() {
		if c.Ends(s.viewer) {
			s.over = true
			s.Close(c.Reason, 0)
		}
	}
}

// topic returns the topic with that key, made if need be. h.mu is held.
func (h *Hub) topic(key chat.Topic) *topic {
	t := h.topics[key]
	if t == nil {
		t = &topic{key: key}
		h.topics[key] = t
	}
	return t
}

// forgetIfUnused drops a topic that nobody follows and the ring has nothing of. h.mu is held.
func (h *Hub) forgetIfUnused(t *topic) {
	if len(t.entries) == 0 && len(t.subs) == 0 && len(t.people) == 0 && h.topics[t.key] == t {
		delete(h.topics, t.key)
	}
}
