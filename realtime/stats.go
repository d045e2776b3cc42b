package realtime

import (
	"sync/atomic"
	"time"

	"tandem/chat"
)

// Stats are a hub's figures: of its own streams, and of the log as far as it knows.
type Stats struct {
	Head                int64
	Streams             map[string]int    // by transport; every transport is present
	Online              int               // users of whom UserOnline is true
	Posts               uint64            // messages added to the log since the start
	Deliveries          uint64            // events written to streams since the start
	CaughtUp            uint64            // events that the bus did not deliver and that were read from the log
	Refused             uint64            // streams refused for lack of memory since the start
	Opened              map[string]uint64 // streams opened since the start, by transport
	CatchUps            uint64            // times the hub found itself behind the log's head and read the log
	Gaps                uint64            // gaps in the ids that did not close by themselves
	LogReads            uint64            // reads of the log for streams that the ring could not serve
	RingBytes           int               // memory that recent events use
	RingLimit           int               // memory that they may use
	RingEvents          int               // how many recent events
	Topics              int               // rooms and inboxes that the hub has state for
	Nodes               int               // other nodes that have announced themselves and still count
	PostsPerSecond      float64           // over the last 10 s
	DeliveriesPerSecond float64
	Uptime              time.Duration
}

// meter counts what passes through a hub.
type meter struct {
	started    time.Time
	posts      atomic.Uint64
	deliveries atomic.Uint64
	caughtUp   atomic.Uint64
	catchUps   atomic.Uint64
	gaps       atomic.Uint64
	logReads   atomic.Uint64
	refused    atomic.Uint64
	opened     [formats]atomic.Uint64
	past       [11]sample // one per second, by the clock; guarded by Hub.mu
	taken      int
}

type sample struct {
	at                time.Time
	posts, deliveries uint64
}

func (m *meter) now(at time.Time) sample { return sample{at, m.posts.Load(), m.deliveries.Load()} }

// take stores a sample. The caller holds Hub.mu.
func (m *meter) take(at time.Time) {
	m.past[m.taken%len(m.past)] = m.now(at)
	m.taken++
}

// rates returns posts and deliveries per second since the oldest sample, or since the start while there are few samples.
// The caller holds Hub.mu, at least for reading.
func (m *meter) rates(at time.Time) (posts, deliveries float64) {
	now, was := m.now(at), sample{at: m.started}
	if m.taken >= len(m.past) {
		was = m.past[m.taken%len(m.past)]
	}
	seconds := at.Sub(was.at).Seconds()
	if seconds <= 0 {
		return 0, 0
	}
	return float64(now.posts-was.posts) / seconds, float64(now.deliveries-was.deliveries) / seconds
}

// Stats returns the current figures.
func (h *Hub) Stats() Stats {
	now := h.now()
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := Stats{
		Head: h.pos, Streams: make(map[string]int, formats),
		Posts: h.meter.posts.Load(), Deliveries: h.meter.deliveries.Load(), CaughtUp: h.meter.caughtUp.Load(),
		Refused: h.meter.refused.Load(), Uptime: now.Sub(h.meter.started),
		Opened:   make(map[string]uint64, formats),
		CatchUps: h.meter.catchUps.Load(), Gaps: h.meter.gaps.Load(), LogReads: h.meter.logReads.Load(),
		RingBytes: h.ring.bytes, RingLimit: h.ring.limit, RingEvents: len(h.ring.entries),
		Topics: len(h.topics) - 1, Nodes: len(h.nodes),
		Online: h.site.names.count,
	}
	for f := range formats {
		s.Streams[f.String()] = 0
		s.Opened[f.String()] = h.meter.opened[f].Load()
	}
	for stream := range h.streams.all() {
		s.Streams[stream.framer.Format().String()]++
	}
	s.PostsPerSecond, s.DeliveriesPerSecond = h.meter.rates(now)
	return s
}

// sampled selects about one delivery in 16 to measure, by a hash of its number, so that it is not always the same
// reader of a room.
func sampled(delivery uint64) bool { return delivery*0x9e3779b97f4a7c15>>60 == 0 }

// countDelivered counts the events sent to s, the last of which is e, and for a sample measures e's age. If s was
// opened after e it is a replay, whose age means nothing.
func (h *Hub) countDelivered(s *Stream, n uint64, e *entry) {
	if n == 0 {
		return
	}
	if total := h.meter.deliveries.Add(n); h.latency != nil && e.id > s.head && sampled(total) {
		if at := chat.SentAt(string(e.json)); !at.IsZero() {
			h.latency(max(0, h.now().Sub(at)))
		}
	}
}
