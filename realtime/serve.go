package realtime

import (
	"context"
	"crypto/tls"
	"io"
	"sync"
	"time"

	"tandem/panics"
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

// sink is the client's end of a stream: a connection, or the body of an answer.
type sink = io.WriteCloser

// Serve sends the stream's events over conn until either ends, then drops the stream and closes conn. It runs
// read, which handles what the peer sends and returns when the connection has ended.
func (s *Stream) Serve(conn sink, read func() error) {
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	// The writer has a goroutine while there is something to write, the reader has this one: an idle
	// connection costs a single stack.
	go s.flush()
	defer panics.Catch(s.hub.logger, "reading from a stream's client")
	defer s.finish()
	_ = read() // why it ended changes nothing
}

// finish ends a stream whose reader has ended, by a panic too. Who waits for streams to end finds its connection closed.
func (s *Stream) finish() {
	defer s.Drop()
	_ = s.conn.Close()
	s.writing.Lock()    // a write that was under way has failed now
	s.state.Store(busy) // never idle again: nobody wakes it
	s.writing.Unlock()
}

// flush writes what there is to send, then rests. One is running while the stream's state is not idle. A panic ends the
// connection; the client resumes.
func (s *Stream) flush() {
	s.writing.Lock()
	defer s.writing.Unlock()
	defer panics.Catch(s.hub.logger, "writing to a stream's client")
	returned := false
	defer func() {
		if !returned {
			_ = s.conn.Close()
			s.silence() // and stay busy: nobody wakes it
		}
	}()
	s.writePending()
	returned = true
}

func (s *Stream) writePending() {
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
	// In pieces, so that the clock sees a slow reader's progress.
	for len(b) > 0 {
		s.hub.stalls.begin(s)
		n, err := s.conn.Write(b[:min(len(b), burst)])
		awaited := s.hub.stalls.end(s)
		if err != nil {
			return err
		}
		if awaited {
			resumePeer(s.conn)
		}
		b = b[n:]
	}
	return nil
}

// linger ends our side and gives the client a moment to end its own, which the reader sees.
func (s *Stream) linger() {
	c, ok := s.conn.(interface {
		CloseWrite() error
		SetReadDeadline(time.Time) error
	})
	if ok && c.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(lingerFor))
		return
	}
	_ = s.conn.Close()
}

// cut ends the connection, if there is one, without waiting for anything; its reader and writer see it.
func (s *Stream) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c := s.conn.(type) {
	case nil:
	case *body:
		c.cut()
	case *tls.Conn:
		_ = c.NetConn().Close() // its own Close says goodbye, to a client who does not read
	default:
		_ = c.Close()
	}
}
