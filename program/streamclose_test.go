package program

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// assertClosed reads a stream to its end, which must be a stream_close for that reason.
func (s *stream) assertClosed(reason string, code int) event {
	s.t.Helper()
	last, err := s.ending()
	if last.Type != "stream_close" || last.Reason != reason {
		s.t.Errorf("%s: the last event is %s, not a stream_close for %s (%v)", s.over, last.raw, reason, err)
	}
	if s.over == overWS && closeCode(err) != code {
		s.t.Errorf("the socket ended with %v, not with %d", err, code)
	}
	if s.over != overWS && !errors.Is(err, io.EOF) {
		s.t.Errorf("the answer ended with %v, not as it should", err)
	}
	return last
}

func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	p := startProgram(t, withTestSecret)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	real := claimsOf(t, ada.AccessToken)
	brief := ada.withToken(real.expiring(5*time.Second).sign("HS256", testSecret))
	streams := []*stream{brief.open(overSSE, "room=lobby"), brief.open(overWS, "room=lobby")}
	lasting := ada.open(overSSE, "room=lobby")
	lasting.opening()
	for _, s := range streams {
		s.opening()
	}
	ada.post("lobby", "before")
	for _, s := range streams {
		s.message("before")
		s.assertClosed("token_expired", 4401)
	}
	ada.post("lobby", "after") // the same user's stream of a lasting token goes on
	lasting.message("before")
	lasting.message("after")
}

func TestStreamPingsEveryTwentySeconds(t *testing.T) {
	slow(t, "a ping comes every 20 s")
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	streams := []*stream{ada.open(overSSE, "room=lobby"), ada.open(overWS, "room=lobby")}
	for _, s := range streams {
		s.opening()
	}
	last := ada.post("lobby", "hi")
	for _, s := range streams {
		s.message("hi")
		for range 2 { // the second shows that no timeout of the server ends an idle stream
			e, err := s.next(30 * time.Second)
			if err != nil || e.Type != "ping" {
				t.Fatalf("%s: waiting for a ping came %s, %v", s.over, e.raw, err)
			}
			if e.Since != fmt.Sprintf("%d.%s", last.ID, s.open.Log) {
				t.Errorf("%s: the ping after the event %d is %s", s.over, last.ID, e.raw)
			}
		}
	}
}

// A clean stop tells every stream that it is a restart, and loses no post that was answered, even while posts
// are on their way and some reader does not read.
func TestStopTellsStreamsAndLosesNoPost(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	ada.enter("busy")
	p.stalledReader(t, ada, "busy")
	ada.fillBuffers("busy")
	streams := []*stream{
		ada.open(overSSE, "room=lobby"), ada.open(overWS, "room=lobby"), ada.open(overSSE, "room=busy"), ada.open(overWS, "room=busy"), ada.open(overSSE, ""),
	}
	for _, s := range streams {
		s.opening()
	}

	var posters sync.WaitGroup
	var mu sync.Mutex
	acknowledged := map[int64]string{}
	underWay := make(chan struct{}, 1000)
	for i := range 8 {
		posters.Go(func() {
			for n := 0; ; n++ {
				text := fmt.Sprintf("%d of %d", n, i)
				e, err := ada.tryPost("busy", text)
				if err != nil {
					return // refused, or the server has gone
				}
				mu.Lock()
				acknowledged[e.ID] = text
				mu.Unlock()
				select {
				case underWay <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 50 {
		<-underWay
	}
	p.stop(t) // within 10 s, or the context of the call fails it
	posters.Wait()
	for _, s := range streams {
		if last := s.assertClosed("restart", websocket.CloseServiceRestart); last.RetryMS <= 0 {
			t.Errorf("%s: come back after %d ms", s.over, last.RetryMS)
		}
	}
	p.stop(t) // once more does no harm

	kept := map[int64]string{}
	for _, e := range ada.on(p.again(t).testServer).wholeHistory("busy") {
		kept[e.ID] = e.Message
	}
	for id, text := range acknowledged {
		if kept[id] != text {
			t.Errorf("the post %q was answered with the id %d, where the log has %q", text, id, kept[id])
		}
	}
	if len(acknowledged) < 50 {
		t.Errorf("only %d posts were on their way", len(acknowledged))
	}
}

// A stream that opens while the program stops is refused, or is told like the others: none is forgotten.
func TestStreamsThatOpenDuringAStopEndToo(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	opened := make(chan *stream, 10_000)
	var openers sync.WaitGroup
	for i := range 6 {
		openers.Go(func() {
			for {
				s, refusal, err := ada.dial(pushing[i%len(pushing)], how{query: "room=lobby&history=10"})
				if err != nil || refusal != nil {
					return // the server has gone, or said that it goes
				}
				opened <- s
			}
		})
	}
	for range 30 {
		ada.post("lobby", "hi")
	}
	p.stop(t)
	openers.Wait()
	close(opened)
	n := 0
	for s := range opened {
		n++
		last, err := s.ending()
		if last.raw != nil && last.Type != "stream_close" {
			t.Errorf("%s: a stream ended with %s (%v)", s.over, last.raw, err)
		}
	}
	t.Logf("%d streams", n)
}

// After the stop nothing listens, and no stream hears of what it was not told before.
func TestStoppedProgramAnswersNobody(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	p.stop(t)
	if a, err := ada.try("GET", "/v1/me", nil); err == nil {
		t.Errorf("after the stop /v1/me answers %d", a.status)
	}
}

// A stream that is cut by its client ends alone.
func TestClosedStreamsDisturbNobody(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	stay := ada.open(overSSE, "room=lobby")
	stay.opening()
	var posted []int64
	for i := range 20 {
		s := ada.open(pushing[i%len(pushing)], "room=lobby")
		s.opening()
		posted = append(posted, ada.post("lobby", fmt.Sprint(i)).ID)
		s.close()
	}
	if got := ids(stay.untilMessage("19")); !slices.Equal(got, posted) {
		t.Errorf("came %v, not %v", got, posted)
	}
}
