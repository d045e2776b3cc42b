package realtime

import (
	"context"
	"runtime"
	"sync"
	"time"

	"tandem/panics"
)

// sweeps write to the streams whose connections the poller has taken over. A few goroutines, which are there while there
// is something to write, go from stream to stream: a delivery has no goroutine, no channel and no timer of its own, and
// what it costs is the write itself. Nothing in a sweep waits: not for a reader whose socket is full, who is gone on with
// when it has room again, and not for the log, which another goroutine reads (docs/decisions/0020).
type sweeps struct {
	mu      sync.Mutex
	queue   []*Stream // those that are busy, and nobody is at
	next    int       // of queue; those before were taken
	workers int
}

const (
	// sweepShare is how many streams a sweeper takes at a time. Between two shares it lets others run.
	sweepShare = 32
	// sweepAlone is for how many waiting streams another sweeper is not worth starting.
	sweepAlone = 2 * sweepShare
)

// mostSweepers leaves one processor to everything else, such as the next post.
func mostSweepers() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// add has these streams swept, which are busy, each once.
func (w *sweeps) add(streams ...*Stream) {
	if len(streams) == 0 {
		return
	}
	w.mu.Lock()
	if w.next > 1024 && w.next > len(w.queue)/2 {
		n := copy(w.queue, w.queue[w.next:])
		clear(w.queue[n:])
		w.queue, w.next = w.queue[:n], 0
	}
	w.queue = append(w.queue, streams...)
	start := w.workers == 0 || len(w.queue)-w.next > w.workers*sweepAlone && w.workers < mostSweepers()
	if start {
		w.workers++
	}
	w.mu.Unlock()
	if start {
		go w.run()
	}
}

// run sweeps until nobody waits.
func (w *sweeps) run() {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	var share [sweepShare]*Stream
	for {
		n := w.take(share[:])
		if n == 0 {
			return
		}
		for _, s := range share[:n] {
			s.sweep(b, false)
		}
		runtime.Gosched()
	}
}

// take takes the next of the queue; where there are none the sweeper that called it is counted out.
func (w *sweeps) take(share []*Stream) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := copy(share, w.queue[w.next:])
	if n == 0 {
		w.workers--
		return 0
	}
	clear(w.queue[w.next : w.next+n])
	if w.next += n; w.next == len(w.queue) {
		w.queue, w.next = w.queue[:0], 0
	}
	return n
}

// sweep writes what the stream has to send, some 32 KiB at most, without waiting for the reader. The stream is busy, and
// is so still if it is not done: it waits for room in its socket, or for the next sweep. A panic ends its connection.
func (s *Stream) sweep(b *[]byte, mayRead bool) {
	s.writing.Lock()
	defer s.writing.Unlock()
	defer panics.Catch(s.hub.logger, "writing to a stream's client")
	goesOn := false
	defer func() {
		if !goesOn { // its reader drops the stream, which stays busy: nobody wakes it
			_ = s.conn.Close()
			s.silence()
		}
	}()
	goesOn = s.sweepOnce(b, mayRead)
}

// sweepOnce returns false where the connection has ended.
func (s *Stream) sweepOnce(b *[]byte, mayRead bool) bool {
	c := s.conn.(*polled)
	sent, done, err := c.sendRest()
	if err != nil {
		return false
	}
	if !sent {
		return true // until it has room
	}
	all := true // of what there was
	if !done {
		var out []byte
		out, done, err = s.next(context.Background(), (*b)[:0], mayRead)
		if cap(out) <= 4*burst {
			*b = out // grown by long messages, but not without bound
		}
		if len(out) > 0 {
			sent, sendErr := c.send(out, done)
			if sendErr != nil || !sent {
				return sendErr == nil
			}
		}
		all = len(out) < burst
	}
	switch {
	case done:
		s.silence()
		s.linger()
	case err == errLogNeeded: // bare, as it comes from us
		go s.sweepFromLog()
	case err != nil:
		s.state.Store(idle)
		time.AfterFunc(logRetry, s.wake)
	case !all || !s.rest():
		s.hub.sweeps.add(s) // behind the others
	}
	return true
}

// sweepFromLog is sweep for a stream that needs the log.
func (s *Stream) sweepFromLog() {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	s.sweep(b, true)
}
