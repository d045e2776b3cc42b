package realtime

import (
	"sync"
	"sync/atomic"
	"time"

	"tandem/chat"
)

// Stream is a set of topics and a cursor over them.
//
// Only Next moves its cursor, and one goroutine at a time calls it (see Serve). Other goroutines may wake it, send it a
// control frame or close it.
type Stream struct {
	hub     *Hub
	viewer  chat.Viewer
	log     string // the name of the log of its cursor
	framer  Framer
	follows []follow // guarded by Hub.mu

	pos         int64  // everything in its topics up to it has been sent
	seq         uint64 // the same as a position in the ring; undefined while behind
	presencePos uint64 // the client knows presence up to this position in the ring
	known       int64  // changes of who follows what up to it were known when s was opened
	head        int64  // the log's head when the stream was opened

	// Grouped to save space, because there are many streams.
	behind  bool // the ring may not have what follows pos
	bounded bool // some of follows have bounds
	all     bool // s follows every room that its viewer is a member of
	over    bool // access has ended: only a stream_close may still be sent; guarded by Hub.mu
	swept   bool // sweeps write what it has to send; set before it is first idle
	counted bool // the stream counts toward its viewer's limit
	online  bool // the viewer is counted as online
	news    bool // a poll responds at once to what has arrived
	silent  bool // nothing more is sent; guarded by mu
	ping    bool // a ping is due; guarded by mu

	ends  int64        // Unix nanoseconds of its maximum age; 0 is never
	state atomic.Int32 // idle, busy, again
	seat  seat         // in Hub.streams

	opening []byte        // the first frames
	woken   chan struct{} // for a poll, which has no goroutine to be woken

	mu      sync.Mutex
	control []byte        // the transport's own frames: pongs, replies
	full    chan struct{} // not nil if a caller waits for control to be taken, or for silence
	closing string        // why the stream is to end
	retry   time.Duration
	ending  []byte // frames that end the connection without a stream_close

	conn    sink       // set by Serve, under mu
	writing sync.Mutex // held by the goroutine that writes
}

// States of a stream: is someone in Next, and was the stream woken since?
const (
	idle int32 = iota
	busy
	again
)

// maxControl bounds the pongs and replies queued for a peer that sends but does not read; a longer one waits alone.
const maxControl = 64 << 10

// wake makes someone call Next again, now or after the call in progress.
func (s *Stream) wake() {
	if s.rouse() {
		s.hub.sweeps.add(s)
	}
}

// rouse is wake, but if it returns true, the caller must have the stream swept.
func (s *Stream) rouse() (sweep bool) {
	for {
		switch s.state.Load() {
		case idle:
			if !s.state.CompareAndSwap(idle, busy) {
				continue
			}
			switch {
			case s.swept:
				return true
			case s.woken != nil:
				s.woken <- struct{}{} // never full: one per rest
			default:
				go s.flush()
			}
			return false
		case busy:
			if s.state.CompareAndSwap(busy, again) {
				return false
			}
		default:
			return false
		}
	}
}

// rest is called when Next found nothing; false means that the stream was woken meanwhile.
func (s *Stream) rest() bool {
	if s.state.CompareAndSwap(busy, idle) {
		return true
	}
	s.state.Store(busy)
	return false
}

// Send sends a whole frame of the transport, such as a pong or a reply, between events. It blocks while too much is
// queued, so that a peer that sends but does not read is not read from. It returns false if nothing more is sent.
func (s *Stream) Send(frame []byte) bool {
	for {
		s.mu.Lock()
		switch {
		case s.silent:
			s.mu.Unlock()
			return false
		case len(s.control) == 0 || len(s.control)+len(frame) <= maxControl:
			s.control = append(s.control, frame...)
			s.mu.Unlock()
			s.wake()
			return true
		}
		if s.full == nil {
			s.full = make(chan struct{})
		}
		full := s.full
		s.mu.Unlock()
		<-full
	}
}

// letSend makes waiting Sends check again. The caller holds s.mu.
func (s *Stream) letSend() {
	if s.full != nil {
		close(s.full)
		s.full = nil
	}
}

// silence makes Send return, now and later: nothing more is sent.
func (s *Stream) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
	s.letSend()
}

// Close ends the stream with a stream_close; the client may reconnect after retry.
func (s *Stream) Close(reason string, retry time.Duration) {
	s.mu.Lock()
	if s.closing == "" {
		s.closing, s.retry = reason, retry
	}
	s.mu.Unlock()
	s.wake()
}

// End ends the connection with these frames of the transport.
func (s *Stream) End(frames []byte) {
	s.mu.Lock()
	if s.ending == nil {
		s.ending = frames
	}
	s.mu.Unlock()
	s.wake()
}
