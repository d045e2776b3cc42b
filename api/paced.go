package api

import (
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// idleFor is how long the peer of an upload or a download may do nothing.
	idleFor = 30 * time.Second
	// slowest is the minimum average rate of an upload, in bytes a second, once idleFor has passed: sending byte by
	// byte would hold a connection and a file for days.
	slowest = 4 << 10
	// answerFor is how long the response to an upload may take.
	answerFor = time.Minute
	// deadlineEvery is the minimum time between moves of a deadline.
	deadlineEvery = time.Second
)

// pacedBody reads a body as long as it keeps arriving. net/http's own deadlines are for short bodies.
type pacedBody struct {
	r     io.Reader
	conn  *http.ResponseController
	began time.Time
	read  int64
	moved time.Time
}

func newPacedBody(c echo.Context) *pacedBody {
	return &pacedBody{r: c.Request().Body, conn: http.NewResponseController(c.Response()), began: time.Now()}
}

// Read implements io.Reader. It fails with os.ErrDeadlineExceeded if the body arrives too slowly.
func (b *pacedBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.moved) >= deadlineEvery {
		b.moved = now
		until := b.began.Add(idleFor + time.Duration(b.read)*time.Second/slowest)
		if idle := now.Add(idleFor); idle.Before(until) {
			until = idle
		}
		_ = b.conn.SetReadDeadline(until) // fails for a test's connections without deadlines
		_ = b.conn.SetWriteDeadline(until.Add(answerFor))
	}
	n, err := b.r.Read(p)
	b.read += int64(n)
	return n, err
}

// end gives the response its time.
func (b *pacedBody) end() {
	_ = b.conn.SetReadDeadline(time.Time{}) // the background reader must not fail at the deadline
	_ = b.conn.SetWriteDeadline(time.Now().Add(keepWithin + answerFor))
}

// pacedAnswer writes a response as long as it keeps being read. It does not write failures: they become problems.
type pacedAnswer struct {
	http.ResponseWriter
	conn   *http.ResponseController
	moved  time.Time
	failed int // the status that is not written; 0 for none
}

// WriteHeader implements http.ResponseWriter.
func (w *pacedAnswer) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		w.failed = status
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *pacedAnswer) Write(p []byte) (n int, err error) {
	if w.failed != 0 {
		return len(p), nil
	}
	for len(p) > 0 {
		if now := time.Now(); now.Sub(w.moved) >= deadlineEvery {
			w.moved = now
			_ = w.conn.SetWriteDeadline(now.Add(idleFor))
		}
		part := p[:min(len(p), 32<<10)]
		m, err := w.ResponseWriter.Write(part)
		n += m
		if err != nil {
			return n, err
		}
		p = p[m:]
	}
	return n, nil
}
