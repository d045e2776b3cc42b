package realtime

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	// logRetry is how long a stream waits when the log cannot be read.
	logRetry = time.Second
	// lingerFor is how long a peer may take to see the end and close its side. Closing at once would reset
	// the connection where it has sent something, and the peer could lose our last frames.
	lingerFor = time.Second
)

// buffers hold what is being written; a stream that has nothing to send holds none.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, burst+burst/4); return &b }}

// Serve sends the stream's events over conn until either ends, then drops the stream and closes conn. It runs
// read, which handles what the peer sends and returns when the connection has ended.
func (s *Stream) Serve(conn net.Conn, read func() error) {
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	// The writer has a goroutine while there is something to write, the reader has this one: an idle
	// connection costs a single stack.
	go s.flush()
	_ = read() // why it ended changes nothing

	s.Drop()
	_ = conn.Close()
	s.writing.Lock()    // a write that was under way has failed now
	s.state.Store(busy) // never idle again: nobody wakes it
	s.writing.Unlock()
}

// flush writes what there is to send, then rests. One is running while the stream's state is not idle.
func (s *Stream) flush() {
	s.writing.Lock()
	defer s.writing.Unlock()
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	for {
		out, done, err := s.Next(context.Background(), (*b)[:0])
		if cap(out) <= 4*burst {
			*b = out // grown by long messages, but not without bound
		}
		if len(out) > 0 && s.write(out) != nil {
			_ = s.conn.Close()
			s.silence()
			return // and stay busy: nobody wakes it
		}
		switch {
		case done:
			s.silence()
			s.linger()
			return
		case err != nil:
			s.state.Store(idle)
			time.AfterFunc(logRetry, s.wake)
			return
		case len(out) == 0 && s.rest():
			return
		}
	}
}

func (s *Stream) write(b []byte) error {
	s.stalled.Store(time.Now().Unix())
	defer s.stalled.Store(0)
	// In pieces, so that the clock sees a slow reader's progress.
	for len(b) > 0 {
		n, err := s.conn.Write(b[:min(len(b), burst)])
		if err != nil {
			return err
		}
		if b = b[n:]; len(b) > 0 {
			s.stalled.Store(time.Now().Unix())
		}
	}
	return nil
}

// linger ends our side and gives the peer a moment to end its own, which the reader sees.
func (s *Stream) linger() {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		_ = s.conn.SetReadDeadline(time.Now().Add(lingerFor))
		return
	}
	_ = s.conn.Close()
}

// cut closes the connection, if there is one; its reader and writer see it.
func (s *Stream) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		_ = s.conn.Close()
	}
}
