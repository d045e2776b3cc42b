package realtime

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"
)

// Poll frames events for long polls, as lines that are joined into an array at the end.
var Poll Framer = poll{}

type poll struct{ ndjson }

func (poll) Format() Format { return FormatJSON }

const (
	// PollWait is how long a poll waits by default; proxies give up after 30 s.
	PollWait = 25 * time.Second
	// pollMost is about how many bytes of events one response holds; the next poll continues after them.
	pollMost = 256 << 10
)

// ServePoll responds with the available events and drops the stream. Without durable events it waits for one, for as
// long as requested. If it returns an error, nothing was sent.
func (s *Stream) ServePoll(w http.ResponseWriter, r *http.Request, wait time.Duration) error {
	defer s.Drop() // in case collect panics
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // clear the server's deadline, which starts with the request, because a poll waits
	lines, err := s.collect(r.Context(), wait)
	s.Drop() // the rest is an ordinary response
	if err != nil {
		return err
	}
	if r.Context().Err() != nil {
		return nil // the client is gone
	}
	answer := append(make([]byte, 0, len(lines)+64), `{"events":[`...)
	answer = append(answer, bytes.ReplaceAll(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n"), []byte(","))...)
	answer = append(answer, `],"since":"`...)
	answer = append(s.cursor().AppendTo(answer), `"}`...)

	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	h.Set("Cache-Control", "no-store")
	_ = control.SetWriteDeadline(time.Now().Add(stallLimit)) // net/http resets it itself
	_, _ = w.Write(answer)                                   // fails if the client is gone
	return nil
}

// collect calls Next until the response is complete. The lines and the cursor then match, because nobody else calls
// Next.
func (s *Stream) collect(ctx context.Context, wait time.Duration) (lines []byte, err error) {
	if most := s.hub.maxAge; most > 0 {
		wait = min(wait, most*9/10)
	}
	s.hub.reach(ctx, s.head) // include everything acknowledged before the poll
	timer := time.NewTimer(wait)
	defer timer.Stop()
	most := len(s.opening) + pollMost
	for {
		more, done, err := s.Next(ctx, nil)
		lines = append(lines, more...)
		switch {
		case done, len(lines) >= most:
			return lines, nil
		case err != nil && !s.news:
			return nil, err
		case err != nil, len(more) == 0 && (s.news || wait == 0):
			return lines, nil
		case len(more) > 0 || !s.rest():
			continue
		}
		select {
		case <-s.woken:
		case <-timer.C:
			wait = 0 // call Next once more, so that the cursor is current
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// reach brings the hub to that position of the log, unless it cannot be read.
func (h *Hub) reach(ctx context.Context, head int64) {
	h.in.Lock()
	defer h.in.Unlock()
	if h.pos < head {
		_ = h.catchUp(ctx) // if it cannot be read, the next poll of the log tries again
	}
}
