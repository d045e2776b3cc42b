package streams

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tandem/e2e/harness"
)

func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithSecret)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	real := harness.ClaimsOf(t, ada.AccessToken)
	lasting := ada.Open(harness.OverSSE, "room=lobby")
	lasting.Opening()
	brief := ada.WithToken(real.Expiring(15*time.Second).Sign("HS256", harness.Secret))
	streams := []*harness.Stream{brief.Open(harness.OverSSE, "room=lobby"), brief.Open(harness.OverWS, "room=lobby")}
	for _, s := range streams {
		s.Opening()
	}
	ada.Post("lobby", "before")
	for _, s := range streams {
		s.AssertClosed("token_expired", 4401) // on a slow machine even before the post
	}
	ada.Post("lobby", "after") // the same user's stream with a long-lived token continues
	lasting.Message("before")
	lasting.Message("after")
}

func TestStreamPingsEveryTwentySeconds(t *testing.T) {
	harness.Slow(t, "a ping comes every 20 s")
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	streams := []*harness.Stream{ada.Open(harness.OverSSE, "room=lobby"), ada.Open(harness.OverWS, "room=lobby")}
	for _, s := range streams {
		s.Opening()
	}
	last := ada.Post("lobby", "hi")
	for _, s := range streams {
		s.Message("hi")
		for range 2 { // the second shows that no server timeout ends an idle stream
			e, err := s.Next(harness.Within(30 * time.Second))
			if err != nil || e.Type != "ping" {
				t.Fatalf("%s: got %s, %v, want a ping", s.Over, e.Raw, err)
			}
			if e.Since != fmt.Sprintf("%d.%s", last.ID, s.Open.Log) {
				t.Errorf("%s: ping after event %d = %s", s.Over, last.ID, e.Raw)
			}
		}
	}
}

// A clean stop notifies every stream that the server restarts, and loses no acknowledged post, even while posts are in
// flight and some reader does not read.
func TestStopNotifiesStreamsAndLosesNoPost(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Enter("busy")
	p.StalledReader(t, ada, "busy")
	ada.FillBuffers("busy")
	streams := []*harness.Stream{
		ada.Open(harness.OverSSE, "room=lobby"), ada.Open(harness.OverWS, "room=lobby"), ada.Open(harness.OverSSE, "room=busy"), ada.Open(harness.OverWS, "room=busy"), ada.Open(harness.OverSSE, ""),
	}
	for _, s := range streams {
		s.Opening()
	}

	var posters sync.WaitGroup
	var mu sync.Mutex
	acknowledged := map[int64]string{}
	underWay := make(chan struct{}, 1000)
	for i := range 8 {
		posters.Go(func() {
			for n := 0; ; n++ {
				text := fmt.Sprintf("%d of %d", n, i)
				e, err := ada.TryPost("busy", text)
				if err != nil {
					return // refused, or the server is gone
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
	p.Stop(t) // within 10 s, or the call's context fails it
	posters.Wait()
	for _, s := range streams {
		if last := s.AssertClosed("restart", websocket.CloseServiceRestart); last.RetryMS <= 0 {
			t.Errorf("%s: retry_ms = %d, want more than 0", s.Over, last.RetryMS)
		}
	}
	p.Stop(t) // stopping again does no harm

	kept := map[int64]string{}
	for _, e := range ada.On(p.Again(t).Server).WholeHistory("busy") {
		kept[e.ID] = e.Message
	}
	for id, text := range acknowledged {
		if kept[id] != text {
			t.Errorf("post %q got id %d, but the log has %q there", text, id, kept[id])
		}
	}
	if len(acknowledged) < 50 {
		t.Errorf("only %d posts acknowledged, want at least 50", len(acknowledged))
	}
}

// A stream that opens while the program stops is refused, or closed like the others: none is forgotten.
func TestStreamsOpenedDuringAStopEndToo(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	opened := make(chan *harness.Stream, 10_000)
	var openers sync.WaitGroup
	for i := range 6 {
		openers.Go(func() {
			for {
				s, refusal, err := ada.Dial(harness.Pushing[i%len(harness.Pushing)], harness.Dialing{Query: "room=lobby&history=10"})
				if err != nil || refusal != nil {
					return // the server is gone, or said that it is stopping
				}
				opened <- s
			}
		})
	}
	for range 30 {
		ada.Post("lobby", "hi")
	}
	p.Stop(t)
	openers.Wait()
	close(opened)
	n := 0
	for s := range opened {
		n++
		last, err := s.Ending()
		if last.Raw != nil && last.Type != "stream_close" {
			t.Errorf("%s: stream ended with %s (%v)", s.Over, last.Raw, err)
		}
	}
	t.Logf("%d streams", n)
}

// After the stop nothing listens, and every stream got the reason.
func TestStoppedProgramDoesNotAnswer(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	p.Stop(t)
	if a, err := ada.Try("GET", "/v1/me", nil); err == nil {
		t.Errorf("GET /v1/me after shutdown: got %d, want no response", a.Status)
	}
}

// If a client cuts one stream, the others continue.
func TestClosedStreamsDisturbNobody(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	stay := ada.Open(harness.OverSSE, "room=lobby")
	stay.Opening()
	var posted []int64
	for i := range 20 {
		s := ada.Open(harness.Pushing[i%len(harness.Pushing)], "room=lobby")
		s.Opening()
		posted = append(posted, ada.Post("lobby", fmt.Sprint(i)).ID)
		s.Close()
	}
	if got := harness.IDs(stay.UntilMessage("19")); !slices.Equal(got, posted) {
		t.Errorf("got %v, want %v", got, posted)
	}
}
