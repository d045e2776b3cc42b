package realtime

import (
	"sync/atomic"
	"time"
)

// Stats are figures of a hub: what its own streams carry, and the log as far as it has seen it.
type Stats struct {
	Head                int64
	Streams             map[string]int // by transport; every transport is there
	Online              int            // users of whom UserOnline is true
	Posts               uint64         // messages that came into the log since the start
	Deliveries          uint64         // events that were put into streams since the start
	CaughtUp            uint64         // events that the bus had not brought, and were read from the log
	PostsPerSecond      float64        // of the last 10 s
	DeliveriesPerSecond float64
	Uptime              time.Duration
}

// meter counts what passes through a hub.
type meter struct {
	started    time.Time
	posts      atomic.Uint64
	deliveries atomic.Uint64
	caughtUp   atomic.Uint64
	past       [11]sample // one a second, the clock's; guarded by Hub.mu
	taken      int
}

type sample struct {
	at                time.Time
	posts, deliveries uint64
}

func (m *meter) now(at time.Time) sample { return sample{at, m.posts.Load(), m.deliveries.Load()} }

// take keeps a sample. Hub.mu is held.
func (m *meter) take(at time.Time) {
	m.past[m.taken%len(m.past)] = m.now(at)
	m.taken++
}

// rates are a second's posts and deliveries since the oldest sample. Hub.mu is held, for reading at least.
func (m *meter) rates(at time.Time) (posts, deliveries float64) {
	now, was := m.now(at), sample{at: m.started}
	if m.taken >= len(m.past) {
		was = m.past[m.taken%len(m.past)]
	} else if m.taken > 0 {
		was = m.past[0]
	}
	seconds := at.Sub(was.at).Seconds()
	if seconds <= 0 {
		return 0, 0
	}
	return float64(now.posts-was.posts) / seconds, float64(now.deliveries-was.deliveries) / seconds
}

// Stats are the figures of now.
func (h *Hub) Stats() Stats {
	now := h.now()
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := Stats{
		Head: h.pos, Streams: make(map[string]int, formats),
		Posts: h.meter.posts.Load(), Deliveries: h.meter.deliveries.Load(), CaughtUp: h.meter.caughtUp.Load(), Uptime: now.Sub(h.meter.started),
	}
	for f := range formats {
		s.Streams[f.String()] = 0
	}
	for stream := range h.streams.all() {
		s.Streams[stream.framer.Format().String()]++
	}
	if t := h.topics[siteTopic]; t != nil {
		s.Online = len(t.names)
	}
	s.PostsPerSecond, s.DeliveriesPerSecond = h.meter.rates(now)
	return s
}
