package realtime

import (
	"sync"
	"time"

	"tandem/chat"
)

// tick is the clock of all streams: pings, expired tokens, maximum age, stalled readers, absent users, and memory.
func (h *Hub) tick(now time.Time) {
	// Each step runs even if another panics: expired tokens must end their streams.
	h.do("the hub's clock: people who left", func() { h.depart(now) })
	h.do("the hub's clock: nodes that are gone", func() { h.expireNodes(now) })
	h.do("the hub's clock: typing", func() { h.forgetTypists(now) })
	h.do("the hub's clock: memory", func() { h.memory.review(now) })
	h.mu.Lock()
	h.meter.take(now)
	pings, expired := h.streams.advance(now)
	h.mu.Unlock()
	for _, s := range expired {
		reason := chat.CloseMaxAge
		if s.tokenEnds(now) {
			reason = chat.CloseTokenExpired
		}
		h.orCut(s, func() { s.Close(reason, 0) })
	}
	for _, s := range pings {
		h.orCut(s, s.pingNow)
	}
	for s, since := range h.stalls.all() {
		h.orCut(s, func() { s.closeIfStalled(now.Sub(since)) })
	}
}

// orCut runs a clock step of one stream. If it panics, it cuts that stream only.
func (h *Hub) orCut(s *Stream, step func()) {
	if !h.do("a stream's clock", step) {
		h.do("cutting a stream", s.cut)
	}
}

// pingNow makes s send a ping, unless it is a poll, which ends sooner.
func (s *Stream) pingNow() {
	if s.woken != nil {
		return
	}
	s.mu.Lock()
	s.ping = true
	s.mu.Unlock()
	s.wake()
}

const (
	// stallLimit is how long a single write of at most 32 KiB may take if nothing shows whether the reader is alive, as
	// with one of several streams on a connection. The client reconnects and resumes.
	stallLimit = 55 * time.Second
	// stayLimit is how long a live reader may stay without reading: an access token's lifetime. It costs about 200 KiB,
	// mostly in the kernel's send buffer.
	stayLimit = 15 * time.Minute
	// AckTimeout is how long a connection may go without an acknowledgement: with a ping every 20 s, a vanished reader
	// is gone within 60 s.
	AckTimeout = 35 * time.Second
)

// closeIfStalled closes the connection of a client that has stopped reading, unless the kernel still sees progress.
func (s *Stream) closeIfStalled(stalled time.Duration) {
	if stalled < 2*time.Second {
		return // the usual case
	}
	s.mu.Lock()
	conn, closing := s.conn, s.closing != "" || s.ending != nil
	s.mu.Unlock()
	alive, known := awaitPeer(conn)
	if known {
		s.hub.stalls.awaited(s)
	}
	switch {
	case closing && stalled > lingerFor, // the client will not read the reason
		known && !alive,
		!known && stalled > stallLimit,
		stalled > stayLimit:
		s.cut()
	}
}

// stalls are the streams that wait for their reader, since when, and whether the kernel was told to tolerate it.
type stalls struct {
	mu sync.Mutex
	of map[*Stream]stall
}

type stall struct {
	since   time.Time
	awaited bool
}

// begin records that s waits, and forgets an earlier wait.
func (w *stalls) begin(s *Stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = make(map[*Stream]stall)
	}
	w.of[s] = stall{since: time.Now()}
}

// end records that s no longer waits. awaited reports whether resumePeer must reset its connection.
func (w *stalls) end(s *Stream) (awaited bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	awaited = w.of[s].awaited
	delete(w.of, s)
	return awaited
}

func (w *stalls) awaited(s *Stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, waits := w.of[s]; waits {
		w.of[s] = stall{was.since, true}
	}
}

func (w *stalls) all() map[*Stream]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make(map[*Stream]time.Time, len(w.of))
	for s, stall := range w.of {
		all[s] = stall.since
	}
	return all
}
