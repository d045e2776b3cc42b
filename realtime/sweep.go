package realtime

import (
	"context"
	"runtime"
	"sync"
	"time"

	"tandem/panics"
)

// sweeps write to the streams whose connections the poller has taken over. A few goroutines, which only exist while
// there is something to write, go from stream to stream: a delivery has no goroutine, no channel and no timer, and
// costs only the write. Nothing in a sweep blocks: not on a reader whose socket is full, which continues when it has
// room again, and not on the log, which another goroutine reads (docs/decisions/0020).
type sweeps struct {
	mu      sync.Mutex
	queue   []*Stream // streams that are busy and not being swept
	next    int       // into queue; earlier ones were taken
	workers int
}

const (
	// sweepShare is how many streams a sweeper takes at a time. Between two shares it yields.
	sweepShare = 32
	// sweepAlone is up to how many queued streams one sweeper handles alone.
	sweepAlone = 2 * sweepShare
)

// mostSweepers leaves one processor to everything else, such as the next post.
func mostSweepers() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// add queues these busy streams, each once.
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

// run sweeps until the queue is empty.
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
			if s.writing.TryLock() {
				s.sweep(b, false)
			} else {
				go s.sweepAlone(false) // its writer may be reading the log
			}
		}
		runtime.Gosched()
	}
}

// take takes the next streams of the queue; if there are none, the calling sweeper is done.
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

// sweep writes what the stream has to send, about 32 KiB at most, without waiting for the reader. The stream is busy
// and stays so if it is not done: it waits for room in its socket, or for the next sweep. A panic ends its connection.
// The caller has locked writing.
func (s *Stream) sweep(b *[]byte, mayRead bool) {
	defer s.writing.Unlock()
	defer panics.Catch(s.hub.logger, "writing to a stream's client")
	goesOn := false
	defer func() {
		if !goesOn { // its reader drops the stream, which stays busy: nothing wakes it
			_ = s.conn.Close()
			s.silence()
		}
	}()
	goesOn = s.sweepOnce(b, mayRead)
}

// sweepOnce returns false if the connection has ended.
func (s *Stream) sweepOnce(b *[]byte, mayRead bool) bool {
	c := s.conn.(*polled)
	sent, done, err := c.sendRest()
	if err != nil {
		return false
	}
	if !sent {
		return true // until it has room
	}
	all := true // everything available was written
	if !done {
		var out []byte
		out, done, err = s.next(context.Background(), (*b)[:0], mayRead)
		if cap(out) <= 4*burst {
			*b = out // keep a buffer grown by long messages, within bounds
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
	case err == errLogNeeded: // unwrapped, as we return it
		go s.sweepAlone(true)
	case err != nil:
		s.state.Store(idle)
		time.AfterFunc(logRetry, s.wake)
	case !all || !s.rest():
		s.hub.sweeps.add(s) // after the others
	}
	return true
}

// sweepAlone is sweep in a goroutine of its own, which may wait: for another writer, and with mayRead for the log.
func (s *Stream) sweepAlone(mayRead bool) {
	if mayRead {
		s.hub.readers <- struct{}{}
		defer func() { <-s.hub.readers }()
	}
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	s.writing.Lock()
	s.sweep(b, mayRead)
}
