package rooms

import (
	"fmt"
	"slices"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// Catching up after a long absence takes many pages, whether from the log or from the ring. The events are as small as
// possible, so that pages end by count and not by size.
func TestLongAbsenceIsReplayedInFull(t *testing.T) {
	for _, ring := range []int{harness.Defaults().RingBytes, 0, 50_000} {
		t.Run(fmt.Sprint("ring of ", ring), func(t *testing.T) {
			t.Parallel()
			p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.RingBytes = ring })
			al := p.Signup(t, "al")
			al.Enter("r")
			al.Enter("s")
			harness.InParallel(8, func(i int) {
				for range 100 {
					if _, err := al.TryPost([]string{"r", "s"}[i/7], "x"); err != nil {
						t.Error(err)
						return
					}
				}
			})
			al.Post("r", "end")
			want := append([]int64{1, 2}, harness.IDs(al.WholeHistory("r"))...)
			harness.OnEach(t, func(t *testing.T, over harness.Transport) {
				s := al.In(t).Open(over, "room=r&since=0")
				s.Opening()
				if got := harness.IDs(s.UntilMessage("end")); !slices.Equal(got, want) {
					t.Errorf("stream differs from the room: %s", harness.Difference(got, want))
				}
				s = al.In(t).Open(over, "room=r&room=s&since=300")
				s.Opening()
				if got := harness.IDs(s.UntilMessage("end")); len(got) != 503 || got[0] != 301 || got[502] != 803 {
					t.Errorf("after 300 got %d events, %v", len(got), got)
				}
			})
		})
	}
}

// A client that has the id of an acknowledged post has seen it: a stream that resumes from there does not send it
// again, even if the program has not delivered it yet.
func TestCursorOfAnAcknowledgedPostIsExact(t *testing.T) {
	t.Parallel()
	for _, ring := range []int{harness.Defaults().RingBytes, 0} {
		p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.RingBytes = ring })
		ada := p.Signup(t, "ada")
		ada.Enter("lobby")
		for i := range 100 {
			before := ada.Post("lobby", "before")
			s := ada.Open(harness.Pushing[i%len(harness.Pushing)], fmt.Sprintf("room=lobby&since=%d", before.ID))
			after := ada.Post("lobby", "after")
			s.Opening()
			if got := s.Message("after"); got.ID != after.ID {
				t.Fatalf("after %d got %s", before.ID, got.Raw)
			}
			s.Close()
		}
	}
}

// An event is delivered without waiting for the next one. A stream that forgot to check again would only do so at its
// ping, every 20 s; 10 s is long for an event and short compared with that.
func TestNoEventWaitsForAnother(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	rooms := []string{"r0", "r1", "r2"}
	for _, name := range rooms {
		ada.Enter(name)
	}
	streams := []*harness.Stream{ada.Open(harness.OverSSE, "room=r0&room=r1&room=r2"), ada.Open(harness.OverWS, "room=r0&room=r1&room=r2")}
	for _, s := range streams {
		s.Opening()
	}
	for round := range 200 {
		harness.InParallel(len(rooms), func(i int) {
			if _, err := ada.TryPost(rooms[i], "one of three"); err != nil {
				t.Error(err)
			}
		})
		for _, s := range streams {
			for came := 0; came < len(rooms); {
				e, err := s.Next(harness.Patience)
				if err != nil {
					t.Fatalf("%s: round %d: got %d of 3 posts: %v", s.Over, round, came, err)
				}
				if e.Type == "chat_message" {
					came++
				}
			}
		}
	}
}
