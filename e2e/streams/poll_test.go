package streams

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

func typesOf(events []harness.Event) (types []string) {
	for _, e := range events {
		types = append(types, e.Type)
	}
	return types
}

func TestPollWithoutCursorOrWaitIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for i := range 50 { // an acknowledged post is in the very next answer
		last := ada.Post("lobby", fmt.Sprint(i))
		got := ada.Poll("room=lobby&history=1")
		if !slices.Equal(typesOf(got.Events), []string{"stream_open", "user_list", "chat_message"}) || got.Events[2].ID != last.ID {
			t.Fatalf("after %s got %s", last.Raw, harness.Show(got.Events))
		}
		got = ada.Poll(fmt.Sprintf("room=lobby&wait=0&since=%d", last.ID-1))
		if !slices.Equal(harness.IDs(got.Events), []int64{last.ID}) {
			t.Fatalf("after %d got %s", last.ID-1, harness.Show(got.Events))
		}
		if none := ada.Poll("room=lobby&wait=0&since=" + got.Since); len(none.Events) != 2 || none.Since != got.Since {
			t.Fatalf("after %s got %s and %s", got.Since, harness.Show(none.Events), none.Since)
		}
	}
	if got := ada.Poll("room=lobby"); len(got.Events) != 2 || got.Since != got.Events[0].Since {
		t.Errorf("poll without a cursor = %s", harness.Show(got.Events))
	}
	// An invalid cursor is reported at once, however long the poll would wait.
	if got := ada.Poll("room=lobby&since=999999&wait=60"); got.Events[2].Type != "stream_reset" {
		t.Errorf("poll from beyond the head = %s", harness.Show(got.Events))
	}
}

// A poll waits for the first durable event. Ephemeral events before it are in the answer.
func TestPollWaitsForADurableEvent(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	since := ada.Poll("room=lobby").Since
	answered := make(chan harness.PollAnswer, 1)
	go func() { answered <- ada.Poll("room=lobby&wait=60&since=" + since) }()
	visit := bob.Open(harness.OverSSE, "room=lobby")
	for visit.Opening(); len(visit.Lists["lobby"].Users) < 2; visit.Opening() { // until ada's poll is waiting
		visit.Close()
		visit = bob.Open(harness.OverSSE, "room=lobby")
	}
	carol := p.Signup(t, "carol")
	carol.Open(harness.OverWS, "room=lobby").Opening()
	select {
	case got := <-answered:
		t.Fatalf("poll returned for presence alone: %s", harness.Show(got.Events))
	default:
	}
	posted := bob.Post("lobby", "hello")
	got := <-answered
	if !slices.Equal(harness.IDs(got.Events), []int64{posted.ID}) || got.Events[len(got.Events)-1].ID != posted.ID {
		t.Errorf("answer of the waiting poll: got %s, want only message %d, last", harness.Show(got.Events), posted.ID)
	}
	if told := harness.PresenceOf(got.Events); !slices.Contains(told, "carol in") {
		t.Errorf("carol's join missing from %s", harness.Show(got.Events))
	}
	if want := fmt.Sprintf("%d.%s", posted.ID, got.Events[0].Log); got.Since != want {
		t.Errorf("answer's since = %s, want %s", got.Since, want)
	}
}

// A polling user is present, also between two polls.
func TestPollerIsPresentBetweenPolls(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	watch := bob.Open(harness.OverSSE, "room=lobby")
	watch.Opening()
	since := ada.Poll("room=lobby").Since
	for range 4 {
		<-time.After(time.Second) // within the grace of 3 s
		since = ada.Poll("room=lobby&wait=1&since=" + since).Since
	}
	bob.Post("lobby", "still there?")
	if told := harness.PresenceOf(watch.UntilMessage("still there?")); !slices.Equal(told, []string{"ada in"}) {
		t.Errorf("bob got %v, want [ada in]", told)
	}
	watch.UntilLeft("ada")
}

// An answer is limited in size, and the next one continues after it, until everything has arrived once.
func TestPollAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for _, ring := range []int{harness.Defaults().RingBytes, 0} {
		p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.RingBytes = ring })
		ada := p.Signup(t, "ada")
		ada.Enter("lobby")
		var want, seen []int64
		for range 60 {
			want = append(want, ada.Post("lobby", strings.Repeat("😀", 4000)).ID)
		}
		since := fmt.Sprint(want[0] - 1)
		for polls := 0; len(seen) < len(want); polls++ {
			a := ada.Do("GET", "/v1/events?room=lobby&since="+since, nil, "Accept: application/json").Want(200)
			got, err := harness.ParsePoll(a.Body)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Body) > 512<<10 || len(harness.IDs(got.Events)) == 0 || polls > 10 {
				t.Fatalf("poll %d has %d bytes and %d events", polls, len(a.Body), len(got.Events))
			}
			seen, since = append(seen, harness.IDs(got.Events)...), got.Since
		}
		if !slices.Equal(seen, want) {
			t.Errorf("messages of all answers: %s", harness.Difference(seen, want))
		}
	}
}

// A waiting poll gets the reason when the server stops and when its token expires.
func TestWaitingPollGetsTheReasonForItsEnd(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithSecret)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	brief := ada.WithToken(harness.ClaimsOf(t, ada.AccessToken).Expiring(15*time.Second).Sign("HS256", harness.Secret))
	got := brief.Poll("room=lobby&wait=60&since=" + brief.Poll("room=lobby").Since)
	if last := got.Events[len(got.Events)-1]; last.Type != "stream_close" || last.Reason != "token_expired" {
		t.Errorf("last event of the response = %s", last.Raw)
	}
	s := ada.Open(harness.OverPoll, "room=lobby")
	s.Opening()
	watch := ada.Open(harness.OverSSE, "room=lobby")
	watch.Opening()
	p.Stop(t)
	if last, err := s.Ending(); last.Raw != nil && last.Type != "stream_close" {
		t.Errorf("poll ended with %s, %v", last.Raw, err)
	}
}

func TestTransportIsNegotiated(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	for _, test := range []struct{ query, accept, want string }{
		{"", "-", "text/event-stream"},
		{"", "*/*", "text/event-stream"},
		{"", "text/*", "text/event-stream"},
		{"", "text/html,application/xhtml+xml,*/*;q=0.8", "text/event-stream"},
		{"", "application/json", "application/json"},
		{"", "application/json, text/plain, */*", "application/json"},
		{"", "APPLICATION/X-NDJSON", "application/x-ndjson"},
		{"", "application/json;q=0.5, application/x-ndjson;q=0.6", "application/x-ndjson"},
		{"", "text/event-stream;q=0, */*", "application/x-ndjson"},
		{"format=json", "text/event-stream", "application/json"},
		{"format=ndjson", "*/*", "application/x-ndjson"},
		{"format=sse", "application/json", "text/event-stream"},
		{"format=", "application/json", "application/json"}, // empty counts as absent
	} {
		for _, over := range []harness.Transport{harness.OverSSE, harness.OverPost} {
			got := ada.KindOf(over, test.query, test.accept)
			if got != test.want {
				t.Errorf("%s ?%s with Accept %q has type %q, want %q", over.Method(), test.query, test.accept, got, test.want)
			}
		}
	}
	for _, over := range []harness.Transport{harness.OverSSE, harness.OverPost} {
		for query, field := range map[string]string{
			"format=ws": "format", "format=SSE": "format", "format=sse&format=json": "format",
			"wait=61": "wait", "wait=-1": "wait", "wait=x": "wait", "wait=1.5": "wait",
		} {
			ada.Refused(over, query).WantProblem(400, "", field)
		}
		ada.Refused(over, "", "Accept: text/html").WantProblem(400, "", "Accept")
		ada.Refused(over, "", "Accept: application/json;q=0").WantProblem(400, "", "Accept")
	}
	ada.Refused(harness.OverWS, "format=json").WantProblem(400, "", "format")
	ada.Do("POST", "/v1/events", map[string]string{"room": "lobby"}).WantProblem(400, "", "body")
}
