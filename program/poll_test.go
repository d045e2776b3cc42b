package program

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// poll makes one long poll.
func (c *client) poll(query string) pollAnswer {
	c.t.Helper()
	got, err := parsePoll(c.do("GET", "/v1/events?"+query, nil, "Accept: application/json").want(200).body)
	if err != nil {
		c.t.Fatal(err)
	}
	return got
}

func typesOf(events []event) (types []string) {
	for _, e := range events {
		types = append(types, e.Type)
	}
	return types
}

func TestPollWithoutCursorOrWaitIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for i := range 50 { // what was acknowledged is in the very next answer
		last := ada.post("lobby", fmt.Sprint(i))
		got := ada.poll("room=lobby&history=1")
		if !slices.Equal(typesOf(got.events), []string{"stream_open", "user_list", "chat_message"}) || got.events[2].ID != last.ID {
			t.Fatalf("after %s came %s", last.raw, show(got.events))
		}
		got = ada.poll(fmt.Sprintf("room=lobby&wait=0&since=%d", last.ID-1))
		if !slices.Equal(ids(got.events), []int64{last.ID}) {
			t.Fatalf("behind %d came %s", last.ID-1, show(got.events))
		}
		if none := ada.poll("room=lobby&wait=0&since=" + got.since); len(none.events) != 2 || none.since != got.since {
			t.Fatalf("behind %s came %s and %s", got.since, show(none.events), none.since)
		}
	}
	if got := ada.poll("room=lobby"); len(got.events) != 2 || got.since != got.events[0].Since {
		t.Errorf("without a cursor came %s", show(got.events))
	}
	// A cursor that cannot be honoured is told at once, however long the poll would wait.
	if got := ada.poll("room=lobby&since=999999&wait=60"); got.events[2].Type != "stream_reset" {
		t.Errorf("ahead of the head came %s", show(got.events))
	}
}

// A poll waits for the first durable event; ephemeral ones that came before it are in the answer.
func TestPollWaitsForADurableEvent(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	since := ada.poll("room=lobby").since
	answered := make(chan pollAnswer, 1)
	go func() { answered <- ada.poll("room=lobby&wait=60&since=" + since) }()
	visit := bob.open(overSSE, "room=lobby")
	for visit.opening(); len(visit.lists["lobby"].Users) < 2; visit.opening() { // until ada's poll is there
		visit.close()
		visit = bob.open(overSSE, "room=lobby")
	}
	carol := p.signup(t, "carol")
	carol.open(overWS, "room=lobby").opening()
	select {
	case got := <-answered:
		t.Fatalf("presence alone was answered: %s", show(got.events))
	default:
	}
	posted := bob.post("lobby", "hello")
	got := <-answered
	if !slices.Equal(ids(got.events), []int64{posted.ID}) || got.events[len(got.events)-1].ID != posted.ID {
		t.Errorf("came %s", show(got.events))
	}
	if told := presenceOf(got.events); !slices.Contains(told, "carol in") {
		t.Errorf("of carol nothing was told in %s", show(got.events))
	}
	if want := fmt.Sprintf("%d.%s", posted.ID, got.events[0].Log); got.since != want {
		t.Errorf("the answer's since is %s, not %s", got.since, want)
	}
}

// Who polls is present, also between two polls.
func TestPollerIsPresentBetweenPolls(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	watch := bob.open(overSSE, "room=lobby")
	watch.opening()
	since := ada.poll("room=lobby").since
	for range 4 {
		<-time.After(time.Second) // within the grace of 3 s
		since = ada.poll("room=lobby&wait=1&since=" + since).since
	}
	bob.post("lobby", "still there?")
	if told := presenceOf(watch.untilMessage("still there?")); !slices.Equal(told, []string{"ada in"}) {
		t.Errorf("bob was told %v", told)
	}
	watch.untilLeft("ada")
}

// An answer is bounded, and the next goes on behind it, until all has come once.
func TestPollAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for _, ring := range []int{Defaults().RingBytes, 0} {
		p := startProgram(t, func(cfg *Settings) { cfg.RingBytes = ring })
		ada := p.signup(t, "ada")
		ada.enter("lobby")
		var want, seen []int64
		for range 60 {
			want = append(want, ada.post("lobby", strings.Repeat("😀", 4000)).ID)
		}
		since := fmt.Sprint(want[0] - 1)
		for polls := 0; len(seen) < len(want); polls++ {
			a := ada.do("GET", "/v1/events?room=lobby&since="+since, nil, "Accept: application/json").want(200)
			got, err := parsePoll(a.body)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.body) > 512<<10 || len(ids(got.events)) == 0 || polls > 10 {
				t.Fatalf("poll %d has %d bytes and %d events", polls, len(a.body), len(got.events))
			}
			seen, since = append(seen, ids(got.events)...), got.since
		}
		if !slices.Equal(seen, want) {
			t.Errorf("came %s", difference(seen, want))
		}
	}
}

// A stop, and a token's end, are told to those who wait.
func TestWaitingPollIsToldWhyItEnds(t *testing.T) {
	t.Parallel()
	p := startProgram(t, withTestSecret)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	brief := ada.withToken(claimsOf(t, ada.AccessToken).expiring(3*time.Second).sign("HS256", testSecret))
	got := brief.poll("room=lobby&wait=60&since=" + brief.poll("room=lobby").since)
	if last := got.events[len(got.events)-1]; last.Type != "stream_close" || last.Reason != "token_expired" {
		t.Errorf("the answer ends with %s", last.raw)
	}
	s := ada.open(overPoll, "room=lobby")
	s.opening()
	watch := ada.open(overSSE, "room=lobby")
	watch.opening()
	p.stop(t)
	if last, err := s.ending(); last.raw != nil && last.Type != "stream_close" {
		t.Errorf("it ended with %s, %v", last.raw, err)
	}
}

func TestTransportIsNegotiated(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
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
		{"format=", "application/json", "application/json"}, // empty is absent
	} {
		for _, over := range []transport{overSSE, overPost} {
			got := ada.kindOf(over, test.query, test.accept)
			if got != test.want {
				t.Errorf("%s ?%s with Accept %q is answered with %q, not %q", over.method(), test.query, test.accept, got, test.want)
			}
		}
	}
	for _, over := range []transport{overSSE, overPost} {
		for query, field := range map[string]string{
			"format=ws": "format", "format=SSE": "format", "format=sse&format=json": "format",
			"wait=61": "wait", "wait=-1": "wait", "wait=x": "wait", "wait=1.5": "wait",
		} {
			ada.refused(over, query).wantProblem(400, "", field)
		}
		ada.refused(over, "", "Accept: text/html").wantProblem(400, "", "Accept")
		ada.refused(over, "", "Accept: application/json;q=0").wantProblem(400, "", "Accept")
	}
	ada.refused(overWS, "format=json").wantProblem(400, "", "format")
	ada.do("POST", "/v1/events", map[string]string{"room": "lobby"}).wantProblem(400, "", "body")
}

// kindOf is the Content-Type that a stream is answered with.
func (c *client) kindOf(over transport, query, accept string) string {
	c.t.Helper()
	s := c.server.socket(c.t)
	defer s.Close()
	lines := []string{over.method() + " /v1/events?" + query + " HTTP/1.1", "Host: x", c.bearer(), "Content-Length: 0"}
	if accept != "-" {
		lines = append(lines, "Accept: "+accept)
	}
	s.send("", append(lines, "")...)
	for {
		line, err := s.reader.ReadString('\n')
		if err != nil {
			c.t.Fatalf("?%s with Accept %q: %v", query, accept, err)
		}
		if kind, is := strings.CutPrefix(line, "Content-Type: "); is {
			return strings.TrimSpace(kind)
		}
	}
}
