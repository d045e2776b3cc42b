package streams

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"tandem/e2e/harness"
)

// cursorRoom is a program with a room of ten messages.
func cursorRoom(t *testing.T) (ada *harness.Client, posted []harness.Event, log string) {
	t.Helper()
	p := harness.StartProgram(t)
	ada = p.Signup(t, "ada")
	ada.Enter("lobby")
	for i := range 10 {
		posted = append(posted, ada.Post("lobby", fmt.Sprint(i)))
	}
	s := ada.Open(harness.OverSSE, "")
	defer s.Close()
	return ada, posted, s.Opening().Log
}

func TestStreamResumesAfterItsCursor(t *testing.T) {
	t.Parallel()
	ada, posted, log := cursorRoom(t)
	after := posted[6].ID
	full, bare := fmt.Sprintf("%d.%s", after, log), fmt.Sprint(after)
	other := fmt.Sprintf("%d.%s", posted[2].ID, log)
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.In(t)
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
				s := ada.In(t).Open(over, "room=lobby"+test.query, test.headers...)
				if open := s.Opening(); !open.Resumed || open.Since != full || open.Log != log {
					t.Errorf("the stream resumed as %s, want %s", open.Raw, full)
				}
				if got := harness.IDs(s.UntilMessage("9")); !slices.Equal(got, harness.IDs(posted[7:])) {
					t.Errorf("after %d got %v, want %v", after, got, harness.IDs(posted[7:]))
				}
			})
		}
	})
}

func TestStreamResumesFromEveryPosition(t *testing.T) {
	t.Parallel()
	ada, posted, _ := cursorRoom(t)
	head := ada.Head()
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.In(t)
		for since := range head + 1 { // 0 is before everything, head after
			s := ada.Open(over, fmt.Sprintf("room=lobby&since=%d", since))
			if open := s.Opening(); !open.Resumed {
				t.Errorf("since=%d was not accepted: %s", since, open.Raw)
			}
			// Joining another room completes the poll, through the inbox.
			marker := fmt.Sprintf("%s-%d", over, since)
			ada.Enter(marker)
			var got, want []int64
			for _, e := range s.Until(func(e harness.Event) bool { return e.Room == marker }) {
				if e.Type == "chat_message" {
					got = append(got, e.ID)
				}
			}
			for _, id := range harness.IDs(posted) {
				if id > since {
					want = append(want, id)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("since=%d brought %v, want %v", since, got, want)
			}
			s.Close()
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
		tests = append(tests, reset{"malformed header " + harness.Clip([]byte(bad)), "", bad, "malformed_cursor"})
	}
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		for i, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				ada := ada.In(t)
				var headers []string
				if test.header != "" {
					headers = []string{"Last-Event-ID: " + test.header}
				}
				s := ada.Open(over, "room=lobby"+test.query, headers...)
				head := ada.Head()
				text := fmt.Sprintf("live %s %d", over, i)
				posted := ada.Post("lobby", text)
				events := s.UntilMessage(text)
				if events[0].Resumed {
					t.Errorf("stream_open has resumed: %s", events[0].Raw)
				}
				at := slices.IndexFunc(events, func(e harness.Event) bool { return e.Type == "stream_reset" })
				if at < 0 {
					t.Fatalf("no stream_reset in %s", harness.Show(events))
				}
				if got := events[at]; got.Reason != test.reason || got.Head != head || got.Head < last || got.Floor > 1 {
					t.Errorf("reset = %s, want reason %s with head %d", got.Raw, test.reason, head)
				}
				if got := harness.IDs(events); !slices.Equal(got, []int64{posted.ID}) {
					t.Errorf("events after the reset = %v, want only the live %d", got, posted.ID)
				}
			})
		}
	})
}

// While posts arrive, a stream starts exactly where it says: the first event has the next id, and none is skipped. All
// events are in one room, so its ids are dense.
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
				if _, err := ada.TryPost("lobby", "one of many"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.In(t)
		for _, query := range []string{"", "&history=0", "&history=3", "&since=9007199254740991", "&since=1.otherlog"} {
			for range 15 {
				s := ada.Open(over, "room=lobby"+query)
				n := 0
				events := s.Until(func(e harness.Event) bool {
					if e.ID != 0 {
						n++
					}
					return n == 5
				})
				start := events[0].Position(t)
				if at := slices.IndexFunc(events, func(e harness.Event) bool { return e.Type == "stream_reset" }); at >= 0 {
					start = events[at].Head
				}
				for i, id := range harness.IDs(events) {
					if id != start+1+int64(i) {
						t.Fatalf("?%s: after %d came %v", query, start, harness.IDs(events))
					}
				}
				s.Close()
			}
		}
	})
	close(stop)
	posters.Wait()
}

// badCursors match neither `<id>.<log>` nor a bare id.
var badCursors = []string{
	"x", "-1", "1.5.x", ".x", "1.", "1.A", "1.a_b", "+1", "1e3", "0x10", "1,2", "1 2", "99999999999999999",
	"1." + strings.Repeat("a", 33), "null", "undefined", "1.ä", "\u0661", strings.Repeat("1", 5000),
}

func TestMalformedSinceIsRefused(t *testing.T) {
	t.Parallel()
	ada, _, _ := cursorRoom(t)
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.In(t)
		for _, bad := range append(slices.Clone(badCursors), "\x00", "\xff", " 1", "1\n") {
			for _, name := range []string{"since", "last_event_id", "lastEventId"} {
				ada.Refused(over, "room=lobby&"+name+"="+url.QueryEscape(bad)).WantProblem(400, "", name)
			}
		}
	})
}

// The position in stream_open is before everything that follows, so a cut right after it loses nothing, even if the
// stream starts with history.
func TestStreamCutRightAfterOpeningResumesCompletely(t *testing.T) {
	t.Parallel()
	ada, posted, _ := cursorRoom(t)
	for _, query := range []string{"&history=3", "&since=" + fmt.Sprint(posted[6].ID)} {
		s := ada.Open(harness.OverSSE, "room=lobby"+query)
		since := s.Must("stream_open").Since
		s.Close()
		s = ada.Open(harness.OverWS, "room=lobby&since="+since)
		s.Opening()
		if got := harness.IDs(s.UntilMessage("9")); !slices.Equal(got, harness.IDs(posted[7:])) {
			t.Errorf("%s, cut and resumed, brought %v, want %v", query, got, harness.IDs(posted[7:]))
		}
		s.Close()
	}
}

// A restart keeps the log's name, and all cursors stay valid.
func TestCursorsOutlastARestart(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	first := ada.Open(harness.OverSSE, "room=lobby")
	since := first.Opening().Since
	ada.Post("lobby", "missed")
	p.Stop(t)
	again := ada.On(p.Again(t).Server)
	again.Post("lobby", "later")
	s := again.Open(harness.OverWS, "room=lobby&since="+since)
	if open := s.Opening(); !open.Resumed {
		t.Errorf("stream_open after the restart = %s", open.Raw)
	}
	s.Message("missed")
	s.Message("later")
}

func TestEachLogHasItsOwnName(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for range 3 {
		s := harness.StartProgram(t).Signup(t, "ada").Open(harness.OverSSE, "")
		names[s.Opening().Log] = true
	}
	if len(names) != 3 {
		t.Errorf("names of three logs = %v, want different ones", names)
	}
}
