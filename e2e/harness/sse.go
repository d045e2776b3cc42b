package harness

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// sseReader reads a text/event-stream as a browser does (WHATWG HTML §9.2.5 and §9.2.6). It shares no code with the
// server's framing.
type sseReader struct {
	from    *bufio.Reader
	afterCR bool // a following LF belongs to the same end of line
	started bool

	LastID  string // the last event ID buffer, which persists between events
	Retries []int  // every valid retry field, in ms, in order
}

// SSEEvent is a dispatched event. ID is the last event ID string; HasID says whether this event set it.
type SSEEvent struct {
	Name, Data, ID string
	HasID          bool
}

func NewSSEReader(r io.Reader) *sseReader { return &sseReader{from: bufio.NewReader(r)} }

// Next blocks until an event is dispatched. As the standard requires, an event that is incomplete when the connection ends
// is discarded.
func (r *sseReader) Next() (SSEEvent, error) {
	var e SSEEvent
	var data strings.Builder
	id, hasData := r.LastID, false
	for {
		line, err := r.Line()
		if err != nil {
			return SSEEvent{}, err
		}
		if !utf8.ValidString(line) {
			return SSEEvent{}, errors.New("the event stream is not UTF-8")
		}
		if line == "" {
			r.LastID = id // set even if no event is dispatched
			if !hasData {
				e = SSEEvent{}
				continue
			}
			e.ID, e.Data = id, strings.TrimSuffix(data.String(), "\n")
			return e, nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field { // "" is a comment
		case "event":
			e.Name = value
		case "data":
			hasData = true
			data.WriteString(value + "\n")
		case "id":
			if !strings.Contains(value, "\x00") {
				id, e.HasID = value, true
			}
		case "retry":
			if ms, err := strconv.Atoi(value); err == nil && strings.Trim(value, "0123456789") == "" {
				r.Retries = append(r.Retries, ms)
			}
		}
	}
}

// Line reads up to CR LF, LF or CR. It ignores a line that is not terminated.
func (r *sseReader) Line() (string, error) {
	var line []byte
	for {
		if _, err := r.from.Peek(1); err != nil { // blocks until there is something
			return "", err
		}
		got, _ := r.from.Peek(r.from.Buffered())
		if r.afterCR {
			r.afterCR = false
			if got[0] == '\n' {
				_, _ = r.from.Discard(1)
				continue
			}
		}
		end := bytes.IndexAny(got, "\r\n")
		if end < 0 {
			line = append(line, got...)
			_, _ = r.from.Discard(len(got))
			continue
		}
		line = append(line, got[:end]...)
		r.afterCR = got[end] == '\r'
		_, _ = r.from.Discard(end + 1)
		if !r.started {
			r.started = true
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // one leading BOM is ignored
		}
		return string(line), nil
	}
}
