package program

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// cursorRoom is a program with a room of ten messages.
func cursorRoom(t *testing.T) (ada *client, posted []event, log string) {
	t.Helper()
	p := startProgram(t)
	ada = p.signup(t, "ada")
	ada.enter("lobby")
	for i := range 10 {
		posted = append(posted, ada.post("lobby", fmt.Sprint(i)))
	}
	s := ada.open(overSSE, "")
	defer s.close()
	return ada, posted, s.opening().Log
}

func TestStreamResumesAfterItsCursor(t *testing.T) {
	t.Parallel()
	ada, posted, log := cursorRoom(t)
	after := posted[6].ID
	full, bare := fmt.Sprintf("%d.%s", after, log), fmt.Sprint(after)
	other := fmt.Sprintf("%d.%s", posted[2].ID, log)
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.in(t)
		for _, test := range []struct {
			name, query string
			headers     []string
		}{
			{"since", "&since=" + full, nil},
			{"since as a bare id", "&since=" + bare, nil},
			{"last_event_id", "&last_event_id=" + full, nil},
			{"last_event_id as a bare id", "&last_event_id=" + bare, nil},
			{"lastEventId", "&lastEventId=" + full, nil},
			{"lastEventId as a bare id", "&lastEventId=" + bare, nil},
			{"the header", "", []string{"Last-Event-ID: " + full}},
			{"the header with a bare id", "", []string{"Last-Event-ID: " + bare}},
			{"the header wins over since", "&since=" + other, []string{"Last-Event-ID: " + full}},
			{"the header wins over lastEventId", "&lastEventId=" + other, []string{"Last-Event-ID: " + full}},
		} {
			t.Run(test.name, func(t *testing.T) {
				s := ada.in(t).open(over, "room=lobby"+test.query, test.headers...)
				if open := s.opening(); !open.Resumed || open.Since != full || open.Log != log {
					t.Errorf("it resumed as %s, not at %s", open.raw, full)
				}
				if got := ids(s.untilMessage("9")); !slices.Equal(got, ids(posted[7:])) {
					t.Errorf("after %d came %v, not %v", after, got, ids(posted[7:]))
				}
			})
		}
	})
}

func TestStreamResumesFromEveryPosition(t *testing.T) {
	t.Parallel()
	ada, posted, _ := cursorRoom(t)
	head := ada.head()
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.in(t)
		for since := range head + 1 { // 0 is before everything, head after
			s := ada.open(over, fmt.Sprintf("room=lobby&since=%d", since))
			if open := s.opening(); !open.Resumed {
				t.Errorf("since=%d was not honoured: %s", since, open.raw)
			}
			// The entry into another room ends the wait, by the inbox.
			marker := fmt.Sprintf("%s-%d", over, since)
			ada.enter(marker)
			var got, want []int64
			for _, e := range s.until(func(e event) bool { return e.Room == marker }) {
				if e.Type == "chat_message" {
					got = append(got, e.ID)
				}
			}
			for _, id := range ids(posted) {
				if id > since {
					want = append(want, id)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("since=%d brought %v, not %v", since, got, want)
			}
			s.close()
		}
	})
}

func TestCursorThatCannotBeHonouredResetsTheStream(t *testing.T) {
	t.Parallel()
	ada, posted, log := cursorRoom(t)
	last := posted[len(posted)-1].ID
	type reset struct{ name, query, header, reason string }
	tests := []reset{
		{"another log", "&since=3.another", "", "other_log"},
		{"another log, in the header", "", "3.another", "other_log"},
		{"another log, ahead too", "&since=999999.another", "", "other_log"},
		{"ahead of the head", "&since=999999." + log, "", "ahead_of_head"},
		{"ahead of the head, bare", "&since=999999", "", "ahead_of_head"},
		{"far ahead of the head", "&since=9007199254740991", "", "ahead_of_head"},
		{"ahead of the head, in the header", "", "999999." + log, "ahead_of_head"},
		{"ahead of the head, over since", "&since=3", "999999", "ahead_of_head"},
	}
	for _, bad := range badCursors {
		tests = append(tests, reset{"malformed header " + clip([]byte(bad)), "", bad, "malformed_cursor"})
	}
	onEach(t, func(t *testing.T, over transport) {
		for i, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				ada := ada.in(t)
				var headers []string
				if test.header != "" {
					headers = []string{"Last-Event-ID: " + test.header}
				}
				s := ada.open(over, "room=lobby"+test.query, headers...)
				head := ada.head()
				text := fmt.Sprintf("live %s %d", over, i)
				posted := ada.post("lobby", text)
				events := s.untilMessage(text)
				if events[0].Resumed {
					t.Errorf("it says resumed: %s", events[0].raw)
				}
				at := slices.IndexFunc(events, func(e event) bool { return e.Type == "stream_reset" })
				if at < 0 {
					t.Fatalf("no stream_reset in %s", show(events))
				}
				if got := events[at]; got.Reason != test.reason || got.Head != head || got.Head < last || got.Floor > 1 {
					t.Errorf("the reset is %s, not for %s with head %d", got.raw, test.reason, head)
				}
				if got := ids(events); !slices.Equal(got, []int64{posted.ID}) {
					t.Errorf("after the reset came %v, not the live %d alone", got, posted.ID)
				}
			})
		}
	})
}

// While posts arrive, a stream begins where it says that it does: what comes first is the next id, and none is left
// out. All events are of one room, so that ids are dense in it.
func TestStreamsBeginWithoutGapWhilePostsArrive(t *testing.T) {
	t.Parallel()
	ada, _, _ := cursorRoom(t)
	stop := make(chan struct{})
	var posters sync.WaitGroup
	for range 3 {
		posters.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := ada.tryPost("lobby", "one of many"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.in(t)
		for _, query := range []string{"", "&history=0", "&history=3", "&since=9007199254740991", "&since=1.otherlog"} {
			for range 15 {
				s := ada.open(over, "room=lobby"+query)
				n := 0
				events := s.until(func(e event) bool {
					if e.ID != 0 {
						n++
					}
					return n == 5
				})
				start := events[0].position(t)
				if at := slices.IndexFunc(events, func(e event) bool { return e.Type == "stream_reset" }); at >= 0 {
					start = events[at].Head
				}
				for i, id := range ids(events) {
					if id != start+1+int64(i) {
						t.Fatalf("?%s: behind %d came %v", query, start, ids(events))
					}
				}
				s.close()
			}
		}
	})
	close(stop)
	posters.Wait()
}

// badCursors fit neither `<id>.<log>` nor a bare id.
var badCursors = []string{
	"x", "-1", "1.5.x", ".x", "1.", "1.A", "1.a_b", "+1", "1e3", "0x10", "1,2", "1 2", "99999999999999999",
	"1." + strings.Repeat("a", 33), "null", "undefined", "1.ä", "\u0661", strings.Repeat("1", 5000),
}

func TestMalformedSinceIsRefused(t *testing.T) {
	t.Parallel()
	ada, _, _ := cursorRoom(t)
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.in(t)
		for _, bad := range append(slices.Clone(badCursors), "\x00", "\xff", " 1", "1\n") {
			for _, name := range []string{"since", "last_event_id", "lastEventId"} {
				ada.refused(over, "room=lobby&"+name+"="+url.QueryEscape(bad)).wantProblem(400, "", name)
			}
		}
	})
}

// The position that stream_open states comes before all that follows, so that a cut right behind it loses nothing:
// also where a stream begins with history.
func TestStreamCutRightAfterItOpenedResumesWithAllOfIt(t *testing.T) {
	t.Parallel()
	ada, posted, _ := cursorRoom(t)
	for _, query := range []string{"&history=3", "&since=" + fmt.Sprint(posted[6].ID)} {
		s := ada.open(overSSE, "room=lobby"+query)
		since := s.must("stream_open").Since
		s.close()
		s = ada.open(overWS, "room=lobby&since="+since)
		s.opening()
		if got := ids(s.untilMessage("9")); !slices.Equal(got, ids(posted[7:])) {
			t.Errorf("%s, cut and resumed, brought %v, not %v", query, got, ids(posted[7:]))
		}
		s.close()
	}
}

// A restart keeps the log's name and all cursors.
func TestCursorsOutlastARestart(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	first := ada.open(overSSE, "room=lobby")
	since := first.opening().Since
	ada.post("lobby", "missed")
	p.stop(t)
	again := ada.on(p.again(t).testServer)
	again.post("lobby", "later")
	s := again.open(overWS, "room=lobby&since="+since)
	if open := s.opening(); !open.Resumed {
		t.Errorf("after the restart it opened with %s", open.raw)
	}
	s.message("missed")
	s.message("later")
}

func TestEachLogHasItsOwnName(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for range 3 {
		s := startProgram(t).signup(t, "ada").open(overSSE, "")
		names[s.opening().Log] = true
	}
	if len(names) != 3 {
		t.Errorf("three logs have the names %v", names)
	}
}
