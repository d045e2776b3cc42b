package program

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// What a text holds does not touch its frame: every separator of lines, what looks like a field, a BOM, and the longest.
func TestTextsDoNotTouchTheirFrames(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	start := ada.head()
	texts := []string{
		"a\nb", "a\rb", "a\r\nb", "\n.\n", "\r.\r", "a\u2028b\u2029c\u0085d", "a\vb\fc",
		"  two spaces first", ": a comment", ":", "data: x\n\ndata: y", "id: 9\nevent: ping\nretry: 1", "event", "\ufeff.", "\ufeff\ufeffa\ufeff",
		strings.Repeat("\u2028", 3999) + ".", strings.Repeat("\r\n", 1999) + ".\n", strings.Repeat("😀", 4000), "the last",
	}
	for _, text := range texts {
		if got := ada.post("lobby", text); got.Message != text {
			t.Fatalf("%q is posted as %q", clip([]byte(text)), clip([]byte(got.Message)))
		}
	}
	onEach(t, func(t *testing.T, over transport) {
		s := ada.in(t).open(over, fmt.Sprintf("room=lobby&since=%d", start))
		s.opening()
		for _, want := range texts {
			if got := s.must("chat_message"); got.Message != want {
				t.Fatalf("%q comes as %s", clip([]byte(want)), clip(got.raw))
			}
		}
	})
}

// A stream that is cut behind any of its bytes, and goes on behind the last id that a browser knows, has each event once.
func TestEventStreamCutBehindEveryByte(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	start := fmt.Sprint(ada.head())
	var want []int64
	for _, text := range []string{"one\r\n", "\u2028two", "three"} {
		want = append(want, ada.post("lobby", text).ID)
	}
	s := ada.open(overSSE, "room=lobby&since="+start)
	log := s.opening().Log
	s.close()
	whole := ada.eventStream(t, start+"."+log, want[2])
	got := map[string][]int64{} // what comes behind a cursor
	for cut := range len(whole) + 1 {
		reader := newSSEReader(bytes.NewReader(whole[:cut]))
		var seen []int64
		for e, err := reader.next(); err == nil; e, err = reader.next() {
			if event, err := parseEvent([]byte(e.Data)); err != nil {
				t.Fatal(err)
			} else if event.ID != 0 {
				seen = append(seen, event.ID)
			}
		}
		last := reader.lastID
		if last == "" {
			last = start + "." + log // an EventSource repeats its URL
		}
		rest, known := got[last]
		if !known {
			if at, err := positionOf(last); err != nil {
				t.Fatal(err)
			} else if at < want[2] {
				next := newSSEReader(bytes.NewReader(ada.eventStream(t, last, want[2])))
				for e, err := next.next(); err == nil; e, err = next.next() {
					if event, err := parseEvent([]byte(e.Data)); err != nil {
						t.Fatal(err)
					} else if event.ID != 0 {
						rest = append(rest, event.ID)
					}
				}
			}
			got[last] = rest
		}
		if all := append(seen, rest...); !slices.Equal(all, want) {
			t.Fatalf("cut behind %d bytes, at %q, came %v, not %v", cut, last, all, want)
		}
	}
	if len(got) < 3 {
		t.Errorf("the cuts left %d positions alone", len(got))
	}
}

// eventStream is an event stream's bytes behind a Last-Event-ID, up to the end of the event with that id.
func (c *client) eventStream(t *testing.T, last string, upto int64) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.server.url+"/v1/events?room=lobby", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.AccessToken)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", last)
	resp, err := c.server.transport(overSSE).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []byte
	for r := bufio.NewReader(resp.Body); ; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			t.Fatalf("behind %s: %v", last, err)
		}
		all = append(all, line...)
		if bytes.HasPrefix(line, []byte(fmt.Sprintf("id: %d.", upto))) {
			for range 3 { // event, data and the blank line
				line, err := r.ReadBytes('\n')
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, line...)
			}
			return all
		}
	}
}
