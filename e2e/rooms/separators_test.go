package rooms

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

// No text can break its frame: all line separators, lines that look like fields, a BOM, and the longest text.
func TestTextsCannotBreakTheirFrames(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	start := ada.Head()
	texts := []string{
		"a\nb", "a\rb", "a\r\nb", "\n.\n", "\r.\r", "a\u2028b\u2029c\u0085d", "a\vb\fc",
		"  two spaces first", ": a comment", ":", "data: x\n\ndata: y", "id: 9\nevent: ping\nretry: 1", "event", "\ufeff.", "\ufeff\ufeffa\ufeff",
		strings.Repeat("\u2028", 3999) + ".", strings.Repeat("\r\n", 1999) + ".\n", strings.Repeat("😀", 4000), "the last",
	}
	for _, text := range texts {
		if got := ada.Post("lobby", text); got.Message != text {
			t.Fatalf("%q posted as %q", harness.Clip([]byte(text)), harness.Clip([]byte(got.Message)))
		}
	}
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		s := ada.In(t).Open(over, fmt.Sprintf("room=lobby&since=%d", start))
		s.Opening()
		for _, want := range texts {
			if got := s.Must("chat_message"); got.Message != want {
				t.Fatalf("%q delivered as %s", harness.Clip([]byte(want)), harness.Clip(got.Raw))
			}
		}
	})
}

// A stream that is cut after any byte, and resumes from the last id that a browser knows, delivers each event once.
func TestEventStreamCutAfterEveryByte(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	start := fmt.Sprint(ada.Head())
	var want []int64
	for _, text := range []string{"one\r\n", "\u2028two", "three"} {
		want = append(want, ada.Post("lobby", text).ID)
	}
	s := ada.Open(harness.OverSSE, "room=lobby&since="+start)
	log := s.Opening().Log
	s.Close()
	whole := ada.EventStream(t, start+"."+log, want[2])
	got := map[string][]int64{} // what follows a cursor
	for cut := range len(whole) + 1 {
		reader := harness.NewSSEReader(bytes.NewReader(whole[:cut]))
		var seen []int64
		for e, err := reader.Next(); err == nil; e, err = reader.Next() {
			if event, err := harness.ParseEvent([]byte(e.Data)); err != nil {
				t.Fatal(err)
			} else if event.ID != 0 {
				seen = append(seen, event.ID)
			}
		}
		last := reader.LastID
		if last == "" {
			last = start + "." + log // an EventSource repeats its URL
		}
		rest, known := got[last]
		if !known {
			if at, err := harness.PositionOf(last); err != nil {
				t.Fatal(err)
			} else if at < want[2] {
				next := harness.NewSSEReader(bytes.NewReader(ada.EventStream(t, last, want[2])))
				for e, err := next.Next(); err == nil; e, err = next.Next() {
					if event, err := harness.ParseEvent([]byte(e.Data)); err != nil {
						t.Fatal(err)
					} else if event.ID != 0 {
						rest = append(rest, event.ID)
					}
				}
			}
			got[last] = rest
		}
		if all := append(seen, rest...); !slices.Equal(all, want) {
			t.Fatalf("cut after %d bytes, at %q: got %v, want %v", cut, last, all, want)
		}
	}
	if len(got) < 3 {
		t.Errorf("cuts at only %d positions, want at least 3", len(got))
	}
}
