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
	// lingerFor is how long a peer may take to see the end and close its side. Closing at once would reset the
	// connection if it has sent something, and the peer could lose our last frames.
	lingerFor = time.Second
)

// buffers hold what is being written; a stream with nothing to send holds none.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, burst+burst/4); return &b }}

// sink is the client's end of a stream: a connection, or a response body.
type sink = io.WriteCloser

// Serve sends the stream's events over conn until either ends, then drops the stream and closes conn. It runs read,
// which handles the peer's input and returns when the connection has ended.
func (s *Stream) Serve(conn sink, read func() error) {
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	// The writer has a goroutine only while there is something to write, and the reader uses this one: an idle
	// connection costs a single stack.
	go s.flush()
	defer panics.Catch(s.hub.logger, "reading from a stream's client")
	defer s.finish()
	_ = read() // the reason changes nothing
}

// finish ends a stream whose reader has ended, also by a panic. Callers that wait for streams to end then find its
// connection closed.
func (s *Stream) finish() {
	defer s.Drop()
	_ = s.conn.Close()
	s.writing.Lock()    // a write in progress has failed by now
	s.state.Store(busy) // never idle again: nothing wakes it
	s.writing.Unlock()
}

// flush writes pending frames until none are left. At most one flush runs per stream, while its state is not idle. A
// panic ends the connection; the client resumes.
func (s *Stream) flush() {
	s.writing.Lock()
	defer s.writing.Unlock()
	defer panics.Catch(s.hub.logger, "writing to a stream's client")
	returned := false
	defer func() {
		if !returned {
			_ = s.conn.Close()
			s.silence() // and stay busy: nothing wakes it
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
			*b = out // keep a buffer grown by long messages, within bounds
		}
		if len(out) > 0 && s.write(out) != nil {
			_ = s.conn.Close()
			s.silence()
			return // and stay busy: nothing wakes it
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

// cut ends the connection, if there is one, without waiting; its reader and writer notice.
func (s *Stream) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c := s.conn.(type) {
	case nil:
	case *body:
		c.cut()
	case *tls.Conn:
		_ = c.NetConn().Close() // its own Close would say goodbye to a client that does not read
	default:
		_ = c.Close()
	}
}
