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

// bodyFramer is a Framer whose frames form the body of an HTTP response.
type bodyFramer interface {
	Framer
	contentType() string
	// begin appends what precedes the first event.
	begin(dst []byte) []byte
}

// ServeHTTP serves the stream over SSE or NDJSON, with the headers that are set on w. Over HTTP/1 it takes over the
// connection and returns, so that nothing of net/http stays in memory. If it cannot, as over HTTP/2, it returns when
// the stream has ended. If it returns an error, nothing was sent and the stream is dropped.
func (s *Stream) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	f := s.framer.(bodyFramer)
	h := w.Header()
	h.Set("Content-Type", f.contentType())
	h.Set("Cache-Control", "no-cache, no-transform") // no-transform: compressors would buffer events
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
	// The stream ends with the connection, so the body needs no chunks (RFC 9112 §6.3).
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

// serveResponse serves the stream as a response body, whose context ends with the client.
func (s *Stream) serveResponse(ctx context.Context, w http.ResponseWriter, control *http.ResponseController) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_ = control.SetWriteDeadline(time.Time{}) // clear the server's deadline for responses; the clock watches a stream's reader
	b := &body{w: w, control: control, ctx: ctx, cancel: cancel}
	s.Serve(b, func() error {
		<-ctx.Done()
		return ctx.Err()
	})
	b.end()
}

// body is a response body as the client's end of a stream.
type body struct {
	w       http.ResponseWriter
	control *http.ResponseController
	ctx     context.Context // of this response only: it ends when either side does
	cancel  context.CancelFunc

	mu    sync.Mutex
	ended bool // the handler has returned, or is about to; do not use w
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

// Close ends the response by making the handler return.
func (b *body) Close() error {
	b.cancel()
	return nil
}

// cut ends the response although a Write may be waiting for the client: it resets the stream and keeps the connection.
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
