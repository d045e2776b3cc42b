package realtime

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"
)

// Poll frames events for long polls: as lines, which make an array in the end.
var Poll Framer = poll{}

type poll struct{ ndjson }

func (poll) Format() Format { return FormatJSON }

const (
	// PollWait is how long a poll waits unless it says; proxies give up after 30 s.
	PollWait = 25 * time.Second
	// pollMost is about how many bytes of events one answer holds; the next poll goes on behind them.
	pollMost = 256 << 10
)

// ServePoll answers with what there is, and drops the stream. Where there is nothing durable it waits for that, so
// long as is said. Where it returns an error nothing was sent.
func (s *Stream) ServePoll(w http.ResponseWriter, r *http.Request, wait time.Duration) error {
	defer s.Drop() // where collect panics
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // the server's, which begins with the request, and a poll waits
	lines, err := s.collect(r.Context(), wait)
	s.Drop() // what is left is an ordinary answer
	if err != nil {
		return err
	}
	if r.Context().Err() != nil {
		return nil // nobody is there to read it
	}
	answer := append(make([]byte, 0, len(lines)+64), `{"events":[`...)
	answer = append(answer, bytes.ReplaceAll(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n"), []byte(","))...)
	answer = append(answer, `],"since":"`...)
	answer = append(s.cursor().AppendTo(answer), `"}`...)

	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(answer)))
	h.Set("Cache-Control", "no-store")
	_ = control.SetWriteDeadline(time.Now().Add(stallLimit)) // net/http resets it by itself
	_, _ = w.Write(answer)                                   // fails where the client is gone
	return nil
}

// collect calls Next until an answer is complete. The events' lines and the cursor then fit together, as nobody else
// calls Next.
func (s *Stream) collect(ctx context.Context, wait time.Duration) (lines []byte, err error) {
	s.hub.reach(ctx, s.head) // what was acknowledged before the poll is in its answer
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
			wait = 0 // Next once more, so that the cursor is that of now
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
		h.catchUp(ctx)
	}
}
