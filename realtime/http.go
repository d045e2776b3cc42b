package realtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// bodyFramer is a Framer whose frames are the body of an HTTP answer.
type bodyFramer interface {
	Framer
	contentType() string
	// begin appends what comes before the first event.
	begin(dst []byte) []byte
}

// ServeHTTP answers with the stream, over SSE or NDJSON. Over HTTP/1 it takes the connection over and returns, so
// that nothing of net/http's stays in memory; where that cannot be done, as over HTTP/2, it returns when the stream
// has ended. Headers that w has are sent. Where it returns an error nothing was sent and the stream is dropped.
func (s *Stream) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	f := s.framer.(bodyFramer)
	h := w.Header()
	h.Set("Content-Type", f.contentType())
	h.Set("Cache-Control", "no-cache, no-transform") // no-transform: compressors would hold events back
	h.Set("X-Accel-Buffering", "no")                 // nginx
	control := http.NewResponseController(w)
	conn, _, err := control.Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		s.opening = append(f.begin(nil), s.opening...)
		s.serveResponse(r.Context(), w, control)
		return nil
	}
	if err != nil {
		s.Drop()
		return fmt.Errorf("take the connection over: %w", err)
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 200 OK\r\n")
	h = h.Clone()
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	// The stream ends with the connection, so its frames need no chunks around them (RFC 9112 §6.3).
	h.Set("Connection", "close")
	_ = h.Write(&head) // into memory
	head.WriteString("\r\n")
	s.opening = append(f.begin(head.Bytes()), s.opening...)

	if s.hub.poller.take(s, conn, nil) {
		return nil
	}
	go s.Serve(conn, func() error {
		return discard(conn, make([]byte, 64)) // small: idle streams wait here
	})
	return nil
}

// serveResponse serves the stream as the body of an answer, whose context ends with the client.
func (s *Stream) serveResponse(ctx context.Context, w http.ResponseWriter, control *http.ResponseController) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_ = control.SetWriteDeadline(time.Time{}) // the server's, for answers; a stream's reader is judged by the clock
	b := &body{w: w, control: control, ctx: ctx, cancel: cancel}
	s.Serve(b, func() error {
		<-ctx.Done()
		return ctx.Err()
	})
	b.end()
}

// body is an answer's body as the client's end of a stream.
type body struct {
	w       http.ResponseWriter
	control *http.ResponseController
	ctx     context.Context // of this answer alone: it ends when either side does
	cancel  context.CancelFunc

	mu    sync.Mutex
	ended bool // the handler has returned, or is about to; w is not to be touched
}

func (b *body) Write(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.w.Write(p)
	if err == nil {
		err = b.control.Flush()
	}
	return n, err
}

// Close ends the answer, by having the handler return.
func (b *body) Close() error {
	b.cancel()
	return nil
}

// cut ends the answer although a Write may be waiting for the client: the stream is reset, its connection lives on.
func (b *body) cut() {
	b.mu.Lock()
	if !b.ended {
		_ = b.control.SetWriteDeadline(time.Unix(1, 0))
	}
	b.mu.Unlock()
	b.cancel()
}

func (b *body) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
}
