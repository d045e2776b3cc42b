package program

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestStreamBeginsWithOpenThenListsThenHistoryThenLive(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	ada.enter("dev")
	ada.post("lobby", "one")
	ada.post("dev", "two")
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.in(t)
		s := ada.open(over, "room=lobby&room=dev&history=1")
		open := s.must("stream_open")
		if open.User != "ada" || !slices.Equal(sorted(open.Rooms), []string{"dev", "lobby"}) || len(open.Lost) != 0 || open.Resumed {
			t.Errorf("it opened with %s", open.raw)
		}
		first, second := s.must("user_list"), s.must("user_list")
		if !slices.Equal(sorted([]string{first.Room, second.Room}), []string{"dev", "lobby"}) {
			t.Errorf("the lists are %s and %s", first.raw, second.raw)
		}
		for _, list := range []event{first, second} {
			if !slices.Equal(list.Users, []string{"ada"}) || list.Count != 1 {
				t.Errorf("the opener is not alone in its list: %s", list.raw)
			}
		}
		s.message("one")
		s.message("two")
	})
	s := ada.open(overSSE, "room=lobby")
	s.opening()
	ada.post("lobby", "live")
	s.message("live") // and no user_join of one's own came before
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// The JSON of an event is the same bytes live and replayed, on both transports, in the answer to the post and in
// history.
func TestSameBytesEverywhere(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	const query = "room=lobby&since=0"
	live := map[transport]*stream{overSSE: ada.open(overSSE, query), overWS: ada.open(overWS, query)}
	var want []event
	bob.enter("lobby")
	for _, text := range texts {
		want = append(want, bob.do("POST", posting, newMessage{text, "n-" + text[:1]}).want(201).event())
	}
	ada.post("lobby", "the end")
	streams := map[string]*stream{
		"live over SSE": live[overSSE], "live over WebSocket": live[overWS],
		"replayed over SSE": ada.open(overSSE, query), "replayed over WebSocket": ada.open(overWS, query),
	}
	told := map[string][]event{"in history": ada.wholeHistory("lobby")}
	members := map[string][]byte{}
	for name, s := range streams {
		all := s.untilMessage("the end")
		for _, e := range all {
			if e.Type == "chat_message" {
				told[name] = append(told[name], e)
			}
			if e.Type == "member_added" && e.Target == "bob" {
				members[name] = e.raw
			}
		}
	}
	for name, got := range told {
		if len(got) != len(want)+1 {
			t.Fatalf("%s are %d messages, not %d", name, len(got), len(want)+1)
		}
		for i, e := range want {
			if !bytes.Equal(got[i].raw, e.raw) {
				t.Errorf("%s it is\n%s\nbut the answer was\n%s", name, got[i].raw, e.raw)
			}
		}
	}
	for name, got := range members {
		if !bytes.Equal(got, members["live over SSE"]) || len(got) == 0 {
			t.Errorf("bob's entry is %s as\n%s\nbut over SSE\n%s", name, got, members["live over SSE"])
		}
	}
	if len(members) != len(streams) {
		t.Errorf("bob's entry was told on %d of %d streams", len(members), len(streams))
	}
}

func TestSeveralRoomsAreMergedInOrder(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	rooms := []string{"r0", "r1", "r2", "unfollowed"}
	for _, name := range rooms {
		ada.enter(name)
	}
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.in(t)
		live := ada.open(over, "room=r0&room=r1&room=r2")
		start := live.opening().Since
		posted := make([][]event, len(rooms))
		inParallel(len(rooms), func(i int) {
			for n := range 20 {
				e, err := ada.tryPost(rooms[i], fmt.Sprint(n))
				if err != nil {
					t.Error(err)
				}
				posted[i] = append(posted[i], e)
			}
		})
		end := "the end " + string(over)
		want := ids(slices.Concat(posted[0], posted[1], posted[2], []event{ada.post("r1", end)}))
		slices.Sort(want)
		replay := ada.open(over, "room=r0&room=r1&room=r2&since="+start)
		replay.opening()
		if got := ids(live.untilMessage(end)); !slices.Equal(got, want) {
			t.Errorf("live came %v\nnot %v", got, want)
		}
		if got := ids(replay.untilMessage(end)); !slices.Equal(got, want) {
			t.Errorf("replayed were %v\nnot %v", got, want)
		}
	})
}

func TestRoomAskedForTwiceIsFollowedOnce(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.in(t)
		s := ada.open(over, "room=lobby&room=Lobby&room=lobby&since=0")
		if open := s.must("stream_open"); !slices.Equal(open.Rooms, []string{"lobby"}) {
			t.Errorf("followed are %v", open.Rooms)
		}
		s.must("user_list")
		s.must("member_added")
		text := "once " + string(over)
		ada.post("lobby", text)
		ada.post("lobby", text+" more")
		n := 0
		for _, e := range s.untilMessage(text + " more") {
			if e.Message == text {
				n++
			}
		}
		if n != 1 {
			t.Errorf("a message came %d times", n)
		}
	})
}

// One's own entry concerns the room and the inbox; a stream that has both gets it once.
func TestEntryReachesTheInboxAndTheRoomOnce(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	bob.enter("lobby")
	both, inbox := ada.open(overSSE, "room=lobby"), ada.open(overWS, "")
	both.opening()
	if open := inbox.opening(); len(open.Rooms) != 0 {
		t.Errorf("a stream of the inbox alone follows %v", open.Rooms)
	}
	ada.enter("lobby")
	ada.enter("marker")
	for _, s := range []*stream{both, inbox} {
		if e := s.must("member_added"); e.Room != "lobby" || e.Target != "ada" {
			t.Errorf("%s: came %s", s.over, e.raw)
		}
		if e := s.must("member_added"); e.Room != "marker" {
			t.Errorf("%s: came %s instead of the entry into the next room", s.over, e.raw)
		}
	}
}

func TestHistoryBeginsAtTheNthLastMessageOfEachRoom(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("a")
	ada.enter("b")
	ada.enter("empty")
	var last event
	for i := range 4 {
		ada.post("a", fmt.Sprint("a", i))
		ada.post("b", fmt.Sprint("b", i))
	}
	bob.enter("a")
	last = ada.post("a", "a4")
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.in(t)
		for i, test := range []struct {
			query string
			want  []string
		}{
			{"room=a&history=0", nil},
			{"room=a&history=1", []string{"a4"}},
			{"room=a&history=2", []string{"a3", "bob", "a4"}},
			{"room=a&room=b&history=2", []string{"b2", "a3", "b3", "bob", "a4"}},
			{"room=a&room=b&room=empty&history=1", []string{"b3", "a4"}},
			{"room=empty&history=100", nil},
			{"room=a", nil},
			{fmt.Sprintf("room=a&history=3&since=%d", last.ID), nil}, // a cursor wins over history
		} {
			s := ada.open(over, test.query)
			s.opening()
			// Entering some other room comes by the inbox: a marker that adds no message to any room.
			marker := fmt.Sprintf("%s-%d", over, i)
			ada.enter(marker)
			var got []string
			for _, e := range s.until(func(e event) bool { return e.Room == marker }) {
				switch {
				case e.Type == "member_added" && e.Target == "bob":
					got = append(got, e.Target)
				case e.Type == "chat_message":
					got = append(got, e.Message)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("?%s began with %v, not %v", test.query, got, test.want)
			}
			s.close()
		}
	})
}

func TestStreamOfUnknownRoomIsRefusedBeforeItStreams(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.in(t)
		ada.refused(over, "room=nowhere").wantProblem(404, "room_not_found", "")
		ada.refused(over, "room=lobby&room=nowhere").wantProblem(404, "room_not_found", "")
		ada.refused(over, "room=nowhere&history=5").wantProblem(404, "room_not_found", "")
		// With a cursor the client has been here before: it goes on with the rest, and is told.
		s := ada.open(over, "room=lobby&room=nowhere&since=0")
		if open := s.opening(); !slices.Equal(open.Rooms, []string{"lobby"}) || !slices.Equal(open.Lost, []string{"nowhere"}) || !open.Resumed {
			t.Errorf("it opened with %s", open.raw)
		}
		// A name that no room can have is one more room that is not there.
		bad := ada.open(over, "room=lobby&room=a%20b&since=0")
		if open := bad.opening(); !slices.Equal(open.Rooms, []string{"lobby"}) || !slices.Equal(open.Lost, []string{"a b"}) {
			t.Errorf("it opened with %s", open.raw)
		}
		ada.do("GET", "/v1/rooms/nowhere", nil).want(404) // and asking made no room
	})
}

func TestStreamParametersThatDoNotFit(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.in(t)
		for query, field := range map[string]string{
			"room=lobby&history=101":                      "history",
			"room=lobby&history=-1":                       "history",
			"room=lobby&history=x":                        "history",
			"room=lobby&history=1.5":                      "history",
			"room=lobby&history=99999999999999999999":     "history",
			"room=lobby&format=xml":                       "format",
			"room=a%20b":                                  "room",
			"room=lobby&room=%2F":                         "room",
			"room=lobby&room=.":                           "room",
			"room=lobby&room=..":                          "room",
			"room=lobby&room=%00":                         "room",
			"room=%FF":                                    "room",
			"room=%zz":                                    "", // no query at all
			"room=lobby&history=%":                        "",
			"room=" + strings.Repeat("a", 65):             "room",
			strings.Repeat("room=lobby&", 200) + "room=l": "room",
		} {
			ada.refused(over, query).wantProblem(400, "", field)
		}
	})
}
