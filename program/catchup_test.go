package program

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A long absence is read in many pages, whether from the log or from the ring. The events are as small as they come,
// so that pages end by their number and not by their bytes.
func TestLongAbsenceIsReadWhole(t *testing.T) {
	for _, ring := range []int{Defaults().RingBytes, 0, 50_000} {
		t.Run(fmt.Sprint("ring of ", ring), func(t *testing.T) {
			t.Parallel()
			p := startProgram(t, func(cfg *Settings) { cfg.RingBytes = ring })
			al := p.signup(t, "al")
			al.enter("r")
			al.enter("s")
			inParallel(8, func(i int) {
				for range 100 {
					if _, err := al.tryPost([]string{"r", "s"}[i/7], "x"); err != nil {
						t.Error(err)
						return
					}
				}
			})
			al.post("r", "end")
			want := append([]int64{1, 2}, ids(al.wholeHistory("r"))...)
			onEach(t, func(t *testing.T, over transport) {
				s := al.in(t).open(over, "room=r&since=0")
				s.opening()
				if got := ids(s.untilMessage("end")); !slices.Equal(got, want) {
					t.Errorf("of the room came %s", difference(got, want))
				}
				s = al.in(t).open(over, "room=r&room=s&since=300")
				s.opening()
				if got := ids(s.untilMessage("end")); len(got) != 503 || got[0] != 301 || got[502] != 803 {
					t.Errorf("behind 300 came %d events, %v", len(got), got)
				}
			})
		})
	}
}

// Who has an acknowledged post's id has seen it: a stream that resumes from there does not bring it again, even
// where the program itself has not passed it on yet.
func TestCursorOfAnAcknowledgedPostIsExact(t *testing.T) {
	t.Parallel()
	for _, ring := range []int{Defaults().RingBytes, 0} {
		p := startProgram(t, func(cfg *Settings) { cfg.RingBytes = ring })
		ada := p.signup(t, "ada")
		ada.enter("lobby")
		for i := range 100 {
			before := ada.post("lobby", "before")
			s := ada.open(pushing[i%len(pushing)], fmt.Sprintf("room=lobby&since=%d", before.ID))
			after := ada.post("lobby", "after")
			s.opening()
			if got := s.message("after"); got.ID != after.ID {
				t.Fatalf("behind %d came %s", before.ID, got.raw)
			}
			s.close()
		}
	}
}

// An event does not wait for the next one to push it out. A stream that forgot to look again would come round with
// its ping, every 20 s: 10 s is long for an event, and short beside that.
func TestNoEventWaitsForAnother(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	rooms := []string{"r0", "r1", "r2"}
	for _, name := range rooms {
		ada.enter(name)
	}
	streams := []*stream{ada.open(overSSE, "room=r0&room=r1&room=r2"), ada.open(overWS, "room=r0&room=r1&room=r2")}
	for _, s := range streams {
		s.opening()
	}
	for round := range 200 {
		inParallel(len(rooms), func(i int) {
			if _, err := ada.tryPost(rooms[i], "one of three"); err != nil {
				t.Error(err)
			}
		})
		for _, s := range streams {
			for came := 0; came < len(rooms); {
				e, err := s.next(10 * time.Second)
				if err != nil {
					t.Fatalf("%s: in round %d came %d of three posts: %v", s.over, round, came, err)
				}
				if e.Type == "chat_message" {
					came++
				}
			}
		}
	}
}
