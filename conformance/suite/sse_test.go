package suite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The examples and rules in WHATWG HTML §9.2.6.
func TestEventStreamIsParsedByTheStandard(t *testing.T) {
	for _, test := range []struct {
		name, stream string
		want         []string // event|data|last id
	}{
		{"two lines of data", "data: YHOO\ndata: +2\ndata: 10\n\n", []string{"|YHOO\n+2\n10|"}},
		{"comment, id, id reset", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n", []string{"|first event|1", "|second event|", "| third event|"}},
		{"data without colon, and incomplete", "data\n\ndata\ndata\n\ndata:", []string{"||", "|\n|"}},
		{"one space is stripped", "data:test\n\ndata: test\n\n", []string{"|test|", "|test|"}},
		{"CR", "event: a\rdata: b\r\r", []string{"a|b|"}},
		{"CRLF", "event: a\r\ndata: b\r\n\r\n", []string{"a|b|"}},
		{"mixed ends", "data: a\r\ndata: b\rdata: c\n\r\ndata: d\n\n", []string{"|a\nb\nc|", "|d|"}},
		{"a BOM at the start", "\ufeffdata: a\n\n", []string{"|a|"}},
		{"a BOM later", "data: a\n\n\ufeffdata: b\n\n", []string{"|a|"}},
		{"id with NUL", "id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n", []string{"|a|1", "|b|1"}},
		{"id outlives a block without data", "id: 7\nevent: x\n\ndata: a\n\n", []string{"|a|7"}},
		{"unterminated block", "data: a\n\ndata: b\n", []string{"|a|"}},
		{"unknown fields", "foo: bar\nDATA: x\n data: y\ndata: z\n\n", []string{"|z|"}},
	} {
		p := newSSEParser(strings.NewReader(test.stream))
		var got []string
		for {
			b, err := p.next()
			if err != nil {
				break
			}
			got = append(got, fmt.Sprintf("%s|%s|%s", b.event, b.data, b.lastID))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	for value, want := range map[string]int{"1500": 1500, "15x": 0, "": 0, "+5": 0} {
		p := newSSEParser(strings.NewReader("retry: " + value + "\n\n"))
		if _, _ = p.next(); p.retry != want {
			t.Errorf("retry %q = %d", value, p.retry)
		}
	}
}
