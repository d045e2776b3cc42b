package suite

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
)

// sseSource reads Server-Sent Events: each block with data is an event.
type sseSource struct {
	parser *sseParser
	close  func()
	begun  bool
}

func (s *sseSource) read() (Event, error) {
	block, err := s.parser.next()
	if err != nil {
		return Event{}, err
	}
	// The stream must start with a `retry:` between 1,000 and 3,000 ms.
	if !s.begun && (s.parser.retry < 1000 || s.parser.retry > 3000) {
		return Event{}, contractError("retry = %d ms before the first event", s.parser.retry)
	}
	s.begun = true
	e, err := parseEvent([]byte(block.data))
	e.Cursor, e.HasID, e.Name = block.lastID, block.hasID, block.event
	return e, err
}

func (s *sseSource) end() { s.close() }

// sseBlock is what an EventSource would dispatch.
type sseBlock struct {
	event, data, lastID string
	hasID               bool
}

// sseParser parses an event stream as specified in WHATWG HTML §9.2.6.
type sseParser struct {
	from   *bufio.Reader
	begun  bool
	afterR bool   // the last line ended with CR: a following LF belongs to it
	lastID string // the last event ID buffer
	retry  int    // milliseconds; 0 if there was none
}

func newSSEParser(from io.Reader) *sseParser { return &sseParser{from: bufio.NewReader(from)} }

// next returns the next block that has data. A block left incomplete by the end of the stream is dropped.
func (p *sseParser) next() (sseBlock, error) {
	var b sseBlock
	var data strings.Builder
	for {
		line, err := p.line()
		if err != nil {
			return sseBlock{}, err
		}
		if line == "" {
			if data.Len() == 0 { // nothing to dispatch; the event type is cleared, the id is not
				b = sseBlock{}
				continue
			}
			b.data, b.lastID = strings.TrimSuffix(data.String(), "\n"), p.lastID
			return b, nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "": // a comment
		case "event":
			b.event = value
		case "data":
			data.WriteString(value + "\n")
		case "id":
			if !strings.Contains(value, "\x00") {
				p.lastID, b.hasID = value, true
			}
		case "retry":
			if ms, err := strconv.Atoi(value); err == nil && strings.Trim(value, "0123456789") == "" {
				p.retry = ms
			}
		}
	}
}

// line reads up to CR, LF or CRLF.
func (p *sseParser) line() (string, error) {
	if !p.begun {
		p.begun = true
		if mark, _ := p.from.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) { // one leading BOM is ignored
			_, _ = p.from.Discard(3)
		}
	}
	var line []byte
	for {
		c, err := p.from.ReadByte()
		if err != nil {
			return "", err
		}
		if c == '\n' && p.afterR {
			p.afterR = false
			continue
		}
		p.afterR = c == '\r'
		if c == '\n' || c == '\r' {
			return string(line), nil
		}
		line = append(line, c)
	}
}
