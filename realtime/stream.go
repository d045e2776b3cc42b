package realtime

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tandem/chat"
)

// Stream is a set of topics and a cursor over them.
//
// Its cursor moves in Next alone, which one goroutine at a time calls (see Serve). Other goroutines may Wake
// it, send it a control frame or close it.
type Stream struct {
	hub     *Hub
	viewer  chat.Viewer
	log     string // the name of the log that its cursor is of
	framer  Framer
	follows []follow // guarded by Hub.mu

	pos   int64  // everything of the topics up to it was sent
	seq   uint64 // the same as a place in the ring; means nothing while behind
	told  uint64 // presence up to this place in the ring is known to the client
	known int64  // changes of who follows what were known up to it when s was opened
	head  int64  // the log's when the stream was opened

	// Together, since there are many streams.
	behind  bool // the ring no longer has, or may not have, what follows pos
	bounded bool // some of follows have bounds
	all     bool // s follows every room that its viewer is a member of
	over    bool // access has ended: nothing that came after is sent, but a stream_close; guarded by Hub.mu
	swept   bool // sweeps write what it has to send; set before it is idle for the first time
	counted bool // the stream is among its viewer's
	online  bool // the viewer is counted on the site
	news    bool // something has come that a poll answers with at once
	silent  bool // nothing more is sent; guarded by mu
	ping    bool // one is due; guarded by mu

	state atomic.Int32 // idle, busy, again
	seat  seat         // in Hub.streams

	opening []byte        // frames that come first
	woken   chan struct{} // a poll's: it has no goroutine to be woken

	mu      sync.Mutex
	control []byte        // frames of the transport's own: pongs, replies
	full    chan struct{} // not nil where somebody waits for control to be taken, or for silence
	closing string        // why the stream is to end
	retry   time.Duration
	ending  []byte // frames that end the connection without a stream_close

	conn    sink       // set by Serve, under mu
	writing sync.Mutex // held by the goroutine that writes
}

// States of a stream: is somebody in Next, and was it woken since that one looked?
const (
	idle int32 = iota
	busy
	again
)

const (
	// burst is about how many bytes Next gives at once.
	burst = 32 << 10
	// maxControl bounds the pongs and replies that wait for a peer who sends and does not read; one that is longer
	// waits alone.
	maxControl = 64 << 10
)

// Next appends to buf the frames that follow what was sent before, some 32 KiB at most; nothing, where there
// is nothing to send now. done says that the stream has ended with these frames. An error means that the log
// could not be read: nothing is lost, and a later call goes on.
func (s *Stream) Next(ctx context.Context, buf []byte) (out []byte, done bool, err error) {
	return s.next(ctx, buf, true)
}

// errLogNeeded means that what follows is to be read from the log, by somebody who may wait for it.
var errLogNeeded = errors.New("the ring no longer has it")

// next is Next; unless mayRead is set it does not read the log, but returns errLogNeeded.
func (s *Stream) next(ctx context.Context, buf []byte, mayRead bool) (out []byte, done bool, err error) {
	out = buf
	if s.opening != nil {
		out, s.opening = append(out, s.opening...), nil
	}
	s.mu.Lock()
	out, s.control = append(out, s.control...), nil
	s.letSend()
	ping, ending, closing, retry := s.ping, s.ending, s.closing, s.retry
	s.ping = false
	s.mu.Unlock()
	switch {
	case ending != nil:
		return append(out, ending...), true, nil
	case closing != "":
		c := chat.StreamClose(closing, retry.Milliseconds())
		out = s.framer.Frame(out, c.Type, chat.Cursor{}, c.JSON)
		return s.framer.End(out, closing), true, nil
	}
	for len(out) < burst {
		n, wasBehind := len(out), s.behind
		if s.behind {
			out, err = s.fromLog(ctx, out, mayRead)
		} else {
			out = s.fromRing(out)
		}
		if err != nil || len(out) == n && !wasBehind && !s.behind { // what the log did not have the ring may
			break
		}
	}
	if ping && err == nil {
		p := chat.Ping(s.cursor())
		out = s.framer.Frame(out, p.Type, s.cursor(), p.JSON)
	}
	return out, false, err
}

// fromRing appends what the ring has behind s, or finds that s is behind the ring.
func (s *Stream) fromRing(out []byte) []byte {
	h := s.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	if s.over {
		return out
	}
	if s.seq < h.ring.evicted {
		s.behind = true
		return out
	}
	var few [4]*entry // enough for the usual case, without an allocation
	entries := few[:0]
	upto := h.ring.seq
	topics := 0
	const most = 256
	for i := range s.follows {
		f := &s.follows[i]
		tail, more := f.topic.tail(s.seq, most)
		if len(tail) > 0 {
			topics++
			if f.after == 0 && f.until == 0 {
				entries = append(entries, tail...)
			} else {
				for _, e := range tail {
					if f.covers(e.at, e.id != 0) {
						entries = append(entries, e)
					}
				}
			}
		}
		if more {
			upto = min(upto, tail[len(tail)-1].seq)
		}
	}
	if topics > 1 {
		entries = merge(entries)
	}
	var sent uint64
	for _, e := range entries {
		if e.seq > upto {
			break
		}
		if len(out) >= burst {
			upto = e.seq - 1
			break
		}
		if e.id == 0 && e.seq > s.told && !e.spares(s) || e.id > s.pos {
			out = append(out, e.frame(s.framer, s.log)...)
			sent++
			s.news = s.news || e.id != 0
		}
		s.pos = max(s.pos, e.at)
	}
	h.meter.deliveries.Add(sent)
	s.seq = upto
	s.told = max(s.told, upto)
	if upto == h.ring.seq {
		s.pos = max(s.pos, h.pos)
	}
	s.settle()
	return out
}

// fromLog appends what the log has behind s, until the ring has the rest.
func (s *Stream) fromLog(ctx context.Context, out []byte, mayRead bool) ([]byte, error) {
	h := s.hub
	out, follows, upto := s.toRing(out)
	if !s.behind {
		return out, nil
	}
	if !mayRead {
		return out, errLogNeeded
	}
	since := make([]chat.TopicSince, 0, len(follows))
	for _, f := range follows {
		if f.topic.key != siteTopic {
			since = append(since, chat.TopicSince{Topic: f.topic.key, After: max(s.pos, f.after)})
		}
	}
	events, err := h.log.Read(ctx, since, upto, logPage)
	if err != nil {
		return out, err
	}
	var json []byte
	for i := range events {
		if len(out) >= burst {
			return out, nil // long messages; the rest is read again
		}
		e := &events[i]
		s.pos = e.ID
		if !covered(follows, e) {
			continue
		}
		json = e.AppendJSON(json[:0])
		out = s.framer.Frame(out, e.Type, chat.Cursor{ID: e.ID, Log: s.log}, json)
		h.meter.deliveries.Add(1)
		s.news = true
	}
	if len(events) < logPage {
		s.pos = upto
	}
	return out, nil
}

// toRing ends being behind where the ring has what follows s, or nothing more is to be sent; else it gives what the log
// is to be asked for: all of it is committed up to upto, so that a read sees it, and has changed what it changes in
// follows.
func (s *Stream) toRing(out []byte) (_ []byte, follows []follow, upto int64) {
	h := s.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	switch {
	case s.over:
		s.behind = false // nothing more to catch up with
	case s.pos >= h.ring.floor:
		s.behind = false
		s.seq = h.ring.seqAt(s.pos)
		// What happened to presence meanwhile was missed; the list of now says it all.
		for i := range s.follows {
			if f := &s.follows[i]; f.until == 0 && f.topic.changed > s.told {
				out = append(out, f.topic.userList().frame(s.framer, s.log)...)
			}
		}
		s.told = h.ring.seq
	default:
		s.settle()
		return out, slices.Clone(s.follows), h.pos // the hub goes on
	}
	return out, nil, 0
}

func (s *Stream) cursor() chat.Cursor { return chat.Cursor{ID: s.pos, Log: s.log} }

// wake has somebody call Next again, now or after the call that is under way.
func (s *Stream) wake() {
	if s.rouse() {
		s.hub.sweeps.add(s)
	}
}

// rouse is wake, but where it returns true the stream is to be swept, which is left to the caller.
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
				s.woken <- struct{}{} // never full: it is sent once a rest
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

// rest is called by who is in Next and found nothing: false means that it was woken meanwhile.
func (s *Stream) rest() bool {
	if s.state.CompareAndSwap(busy, idle) {
		return true
	}
	s.state.Store(busy)
	return false
}

// Send sends a whole frame of the transport's own, such as a pong or a reply, between events. It waits while too much
// waits already, so that a peer who sends and does not read is not read from. It returns false where nothing more is sent.
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

// letSend has who waits in Send look again. s.mu is held.
func (s *Stream) letSend() {
	if s.full != nil {
		close(s.full)
		s.full = nil
	}
}

// silence has Send return, now and later: nothing more is sent.
func (s *Stream) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
	s.letSend()
}

// Close ends the stream with a stream_close; the client may come back after retry.
func (s *Stream) Close(reason string, retry time.Duration) {
	s.mu.Lock()
	if s.closing == "" {
		s.closing, s.retry = reason, retry
	}
	s.mu.Unlock()
	s.wake()
}

// End ends the connection with these frames of the transport's own.
func (s *Stream) End(frames []byte) {
	s.mu.Lock()
	if s.ending == nil {
		s.ending = frames
	}
	s.mu.Unlock()
	s.wake()
}

// Drain refuses new streams, tells all that are open to come back soon, spread over some seconds so that
// they do not come all at once, and returns when they have ended or, after cutting them, when ctx ends.
func (h *Hub) Drain(ctx context.Context) {
	h.mu.Lock()
	h.draining = true
	// A millisecond a stream keeps the next server from a stampede, and few streams from waiting for it.
	spread := min(500*time.Millisecond+time.Duration(h.streams.count)*time.Millisecond, 5*time.Second)
	for s := range h.streams.all() {
		s.Close(chat.CloseRestart, 500*time.Millisecond+rand.N(spread))
	}
	// Its people still count while they come back elsewhere.
	hold := 500*time.Millisecond + spread + graceOfRestart
	h.leaving = h.now().Add(hold)
	h.state(Statement{Kind: bye, Hold: hold})
	h.meet() // nobody is to wait for it any more
	h.mu.Unlock()

	ended := make(chan struct{})
	go func() { h.serving.Wait(); close(ended) }()
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	h.mu.RLock()
	for s := range h.streams.all() {
		h.do("cutting a stream", s.cut)
	}
	h.mu.RUnlock()
	<-ended
}
