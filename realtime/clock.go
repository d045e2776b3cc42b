package realtime

import (
	"sync"
	"time"

	"tandem/chat"
)

// tick is the clock of all streams: pings, expired tokens, stalled readers, and people who have left.
func (h *Hub) tick(now time.Time) {
	// None of these keeps the next from its turn: expired tokens end whatever else fails.
	h.do("the hub's clock: people who left", func() { h.depart(now) })
	h.do("the hub's clock: nodes that are gone", func() { h.bury(now) })
	h.do("the hub's clock: typing", func() { h.forgetTypists(now) })
	h.mu.Lock()
	h.meter.take(now)
	pings, expired := h.streams.advance(now)
	h.mu.Unlock()
	for _, s := range expired {
		h.orCut(s, func() { s.Close(chat.CloseTokenExpired, 0) })
	}
	for _, s := range pings {
		h.orCut(s, s.pingNow)
	}
	for s, since := range h.stalls.all() {
		h.orCut(s, func() { s.judge(now.Sub(since)) })
	}
}

// orCut does a step of one stream's clock; where it panics the stream is cut, and the others are not.
func (h *Hub) orCut(s *Stream, step func()) {
	if !h.do("a stream's clock", step) {
		h.do("cutting a stream", s.cut)
	}
}

// pingNow has s say that it is alive, unless it is a poll's, which ends sooner.
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
	// stallLimit is how long a single write of at most 32 KiB may take where nothing tells whether the reader lives, as
	// with one of several streams on a connection; it comes back and resumes.
	stallLimit = 55 * time.Second
	// stayLimit is how long a reader may stay that lives and does not read: an access token's life. It costs some
	// 200 KiB, most of which are the kernel's send buffer.
	stayLimit = 15 * time.Minute
	// AckTimeout is how long a connection may owe us an acknowledgement: with a ping every 20 s, a vanished reader is
	// gone within 60 s.
	AckTimeout = 35 * time.Second
)

// judge cuts a reader who has not read for that long, unless it may read on.
func (s *Stream) judge(stalled time.Duration) {
	if stalled < 2*time.Second {
		return // nothing unusual
	}
	s.mu.Lock()
	conn, closing := s.conn, s.closing != ""
	s.mu.Unlock()
	alive, known := awaitPeer(conn)
	if known {
		s.hub.stalls.awaited(s)
	}
	switch {
	case closing && stalled > lingerFor, // it will not hear why
		known && !alive,
		!known && stalled > stallLimit,
		stalled > stayLimit:
		s.cut()
	}
}

// stalls are the streams that wait for their reader, since when, and whether the kernel was told to let that be.
type stalls struct {
	mu sync.Mutex
	of map[*Stream]stall
}

type stall struct {
	since   time.Time
	awaited bool
}

// begin notes that s waits. What was noted of an earlier wait stands no longer.
func (w *stalls) begin(s *Stream) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = make(map[*Stream]stall)
	}
	w.of[s] = stall{since: time.Now()}
}

// end notes that s waits no longer; awaited tells whether its connection is to be set back by resumePeer.
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
