package program

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// sseReader reads a text/event-stream as a browser does: WHATWG HTML §9.2.5 and §9.2.6. It knows nothing
// of the server's own framing.
type sseReader struct {
	from    *bufio.Reader
	afterCR bool // a LF that follows a CR belongs to the same end of line
	started bool

	lastID  string // the last event ID buffer, which outlives an event
	retries []int  // every valid retry: in ms, in order
}

// sseEvent is a dispatched event. ID is the last event ID string; HasID says that this very event set it.
type sseEvent struct {
	Name, Data, ID string
	HasID          bool
}

func newSSEReader(r io.Reader) *sseReader { return &sseReader{from: bufio.NewReader(r)} }

// next blocks until an event is dispatched. What stands behind the last blank line when the connection
// ends is discarded, as the standard demands.
func (r *sseReader) next() (sseEvent, error) {
	var e sseEvent
	var data strings.Builder
	id, hasData := r.lastID, false
	for {
		line, err := r.line()
		if err != nil {
			return sseEvent{}, err
		}
		if !utf8.ValidString(line) {
			return sseEvent{}, errors.New("the event stream is not UTF-8")
		}
		if line == "" {
			r.lastID = id // set even where nothing is dispatched
			if !hasData {
				e = sseEvent{}
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
				r.retries = append(r.retries, ms)
			}
		}
	}
}

// line reads up to CR LF, LF or CR. A line without an end is no line.
func (r *sseReader) line() (string, error) {
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

func TestSSEReaderFollowsTheStandard(t *testing.T) {
	tests := []struct {
		name, text string
		want       []sseEvent
		retries    []int
	}{
		{"data alone", "data: a\n\n", []sseEvent{{Data: "a"}}, nil},
		{"all fields", "id: 7.x\nevent: ping\ndata: {}\n\n", []sseEvent{{Name: "ping", Data: "{}", ID: "7.x", HasID: true}}, nil},
		{"one space is taken away", "data:  a \n\n", []sseEvent{{Data: " a "}}, nil},
		{"no space", "data:a\n\n", []sseEvent{{Data: "a"}}, nil},
		{"lines are joined", "data: a\ndata\ndata: b\n\n", []sseEvent{{Data: "a\n\nb"}}, nil},
		{"an id stays", "id: 1\ndata: a\n\ndata: b\n\n", []sseEvent{{Data: "a", ID: "1", HasID: true}, {Data: "b", ID: "1"}}, nil},
		{"an id without data stays too", "id: 1\n\ndata: b\n\n", []sseEvent{{Data: "b", ID: "1"}}, nil},
		{"an empty id resets", "id: 1\ndata: a\n\nid\ndata: b\n\n", []sseEvent{{Data: "a", ID: "1", HasID: true}, {Data: "b", HasID: true}}, nil},
		{"an id with NULL is ignored", "id: 1\x00\ndata: a\n\n", []sseEvent{{Data: "a"}}, nil},
		{"a name without data is forgotten", "event: x\n\ndata: a\n\n", []sseEvent{{Data: "a"}}, nil},
		{"comments and unknown fields", ": hi\nfoo: bar\ndata: a\n\n", []sseEvent{{Data: "a"}}, nil},
		{"CR LF, CR and LF", "data: a\r\n\r\ndata: b\r\rdata: c\n\n", []sseEvent{{Data: "a"}, {Data: "b"}, {Data: "c"}}, nil},
		{"a byte order mark", "\ufeffdata: a\n\n", []sseEvent{{Data: "a"}}, nil},
		{"an unfinished event is discarded", "data: a\n\ndata: b\n", []sseEvent{{Data: "a"}}, nil},
		{"an unfinished line is discarded", "data: a\n\ndata: b", []sseEvent{{Data: "a"}}, nil},
		{"retry", "retry: 1500\n\nretry: -1\nretry: 2s\n\ndata: a\n\n", []sseEvent{{Data: "a"}}, []int{1500}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newSSEReader(strings.NewReader(test.text))
			var got []sseEvent
			for {
				e, err := r.next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if !slices.Equal(got, test.want) || !slices.Equal(r.retries, test.retries) {
				t.Errorf("got %+v and retry %v\nnot %+v and retry %v", got, r.retries, test.want, test.retries)
			}
		})
	}
}
