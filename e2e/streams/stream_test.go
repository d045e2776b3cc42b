package streams

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

func TestStreamBeginsWithOpenThenListsThenHistoryThenLive(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Enter("dev")
	ada.Post("lobby", "one")
	ada.Post("dev", "two")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.In(t)
		s := ada.Open(over, "room=lobby&room=dev&history=1")
		open := s.Must("stream_open")
		if open.User != "ada" || !slices.Equal(harness.Sorted(open.Rooms), []string{"dev", "lobby"}) || len(open.Lost) != 0 || open.Resumed {
			t.Errorf("stream_open = %s", open.Raw)
		}
		first, second := s.Must("user_list"), s.Must("user_list")
		if !slices.Equal(harness.Sorted([]string{first.Room, second.Room}), []string{"dev", "lobby"}) {
			t.Errorf("user lists = %s and %s", first.Raw, second.Raw)
		}
		for _, list := range []harness.Event{first, second} {
			if !slices.Equal(list.Users, []string{"ada"}) || list.Count != 1 {
				t.Errorf("user list = %s, want only ada", list.Raw)
			}
		}
		s.Message("one")
		s.Message("two")
	})
	s := ada.Open(harness.OverSSE, "room=lobby")
	s.Opening()
	ada.Post("lobby", "live")
	s.Message("live") // and there was no user_join of one's own before it
}

// The JSON of an event is the same bytes live and replayed, on every transport, in the answer to the post and in
// history.
func TestSameBytesEverywhere(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	const query = "room=lobby&since=0"
	live := map[harness.Transport]*harness.Stream{harness.OverSSE: ada.Open(harness.OverSSE, query), harness.OverWS: ada.Open(harness.OverWS, query)}
	var want []harness.Event
	bob.Enter("lobby")
	for _, text := range harness.Texts {
		want = append(want, bob.Do("POST", harness.Posting, harness.NewMessage{Message: text, Nonce: "n-" + text[:1]}).Want(201).Event())
	}
	ada.Post("lobby", "the end")
	streams := map[string]*harness.Stream{
		"live over SSE": live[harness.OverSSE], "live over WebSocket": live[harness.OverWS],
		"replayed over SSE": ada.Open(harness.OverSSE, query), "replayed over WebSocket": ada.Open(harness.OverWS, query),
	}
	told := map[string][]harness.Event{"in history": ada.WholeHistory("lobby")}
	members := map[string][]byte{}
	for name, s := range streams {
		all := s.UntilMessage("the end")
		for _, e := range all {
			if e.Type == "chat_message" {
				told[name] = append(told[name], e)
			}
			if e.Type == "member_added" && e.Target == "bob" {
				members[name] = e.Raw
			}
		}
	}
	for name, got := range told {
		if len(got) != len(want)+1 {
			t.Fatalf("%s are %d messages, want %d", name, len(got), len(want)+1)
		}
		for i, e := range want {
			if !bytes.Equal(got[i].Raw, e.Raw) {
				t.Errorf("%s event =\n%s, want\n%s", name, got[i].Raw, e.Raw)
			}
		}
	}
	for name, got := range members {
		if !bytes.Equal(got, members["live over SSE"]) || len(got) == 0 {
			t.Errorf("%s: bob's join =\n%s, want as over SSE\n%s", name, got, members["live over SSE"])
		}
	}
	if len(members) != len(streams) {
		t.Errorf("bob's join delivered on %d of %d streams", len(members), len(streams))
	}
}

func TestSeveralRoomsAreMergedInOrder(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	rooms := []string{"r0", "r1", "r2", "unfollowed"}
	for _, name := range rooms {
		ada.Enter(name)
	}
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.In(t)
		live := ada.Open(over, "room=r0&room=r1&room=r2")
		start := live.Opening().Since
		posted := make([][]harness.Event, len(rooms))
		harness.InParallel(len(rooms), func(i int) {
			for n := range 20 {
				e, err := ada.TryPost(rooms[i], fmt.Sprint(n))
				if err != nil {
					t.Error(err)
				}
				posted[i] = append(posted[i], e)
			}
		})
		end := "the end " + string(over)
		want := harness.IDs(slices.Concat(posted[0], posted[1], posted[2], []harness.Event{ada.Post("r1", end)}))
		slices.Sort(want)
		replay := ada.Open(over, "room=r0&room=r1&room=r2&since="+start)
		replay.Opening()
		if got := harness.IDs(live.UntilMessage(end)); !slices.Equal(got, want) {
			t.Errorf("live: %v\nwant %v", got, want)
		}
		if got := harness.IDs(replay.UntilMessage(end)); !slices.Equal(got, want) {
			t.Errorf("replayed = %v\nwant %v", got, want)
		}
	})
}

func TestRoomRequestedTwiceIsFollowedOnce(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.In(t)
		s := ada.Open(over, "room=lobby&room=Lobby&room=lobby&since=0")
		if open := s.Must("stream_open"); !slices.Equal(open.Rooms, []string{"lobby"}) {
			t.Errorf("followed = %v", open.Rooms)
		}
		s.Must("user_list")
		s.Must("member_added")
		text := "once " + string(over)
		ada.Post("lobby", text)
		ada.Post("lobby", text+" more")
		n := 0
		for _, e := range s.UntilMessage(text + " more") {
			if e.Message == text {
				n++
			}
		}
		if n != 1 {
			t.Errorf("message delivered %d times, want once", n)
		}
	})
}

// A user's join concerns the room and the inbox. A stream that has both gets it once.
func TestEntryReachesTheInboxAndTheRoomOnce(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	bob.Enter("lobby")
	both, inbox := ada.Open(harness.OverSSE, "room=lobby"), ada.Open(harness.OverWS, "")
	both.Opening()
	if open := inbox.Opening(); len(open.Rooms) != 0 {
		t.Errorf("rooms of an inbox stream = %v, want none", open.Rooms)
	}
	ada.Enter("lobby")
	ada.Enter("marker")
	for _, s := range []*harness.Stream{both, inbox} {
		if e := s.Must("member_added"); e.Room != "lobby" || e.Target != "ada" {
			t.Errorf("%s: event on joining: got %s, want one member_added of ada to lobby", s.Over, e.Raw)
		}
		if e := s.Must("member_added"); e.Room != "marker" {
			t.Errorf("%s: got %s, want the join of the room marker", s.Over, e.Raw)
		}
	}
}

func TestHistoryBeginsAtTheNthLastMessageOfEachRoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("a")
	ada.Enter("b")
	ada.Enter("empty")
	var last harness.Event
	for i := range 4 {
		ada.Post("a", fmt.Sprint("a", i))
		ada.Post("b", fmt.Sprint("b", i))
	}
	bob.Enter("a")
	last = ada.Post("a", "a4")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.In(t)
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
			{fmt.Sprintf("room=a&history=3&since=%d", last.ID), nil}, // a cursor takes precedence over history
		} {
			s := ada.Open(over, test.query)
			s.Opening()
			// Joining another room is announced in the inbox: a marker that adds no message to any room.
			marker := fmt.Sprintf("%s-%d", over, i)
			ada.Enter(marker)
			var got []string
			for _, e := range s.Until(func(e harness.Event) bool { return e.Room == marker }) {
				switch {
				case e.Type == "member_added" && e.Target == "bob":
					got = append(got, e.Target)
				case e.Type == "chat_message":
					got = append(got, e.Message)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("?%s: first events = %v, want %v", test.query, got, test.want)
			}
			s.Close()
		}
	})
}

func TestStreamOfUnknownRoomIsRefused(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.In(t)
		ada.Refused(over, "room=nowhere").WantProblem(404, "room_not_found", "")
		ada.Refused(over, "room=lobby&room=nowhere").WantProblem(404, "room_not_found", "")
		ada.Refused(over, "room=nowhere&history=5").WantProblem(404, "room_not_found", "")
		// With a cursor the client has been here before: it continues with the remaining rooms, and the answer names the lost ones.
		s := ada.Open(over, "room=lobby&room=nowhere&since=0")
		if open := s.Opening(); !slices.Equal(open.Rooms, []string{"lobby"}) || !slices.Equal(open.Lost, []string{"nowhere"}) || !open.Resumed {
			t.Errorf("stream_open = %s", open.Raw)
		}
		// An invalid room name is treated as a room that does not exist.
		bad := ada.Open(over, "room=lobby&room=a%20b&since=0")
		if open := bad.Opening(); !slices.Equal(open.Rooms, []string{"lobby"}) || !slices.Equal(open.Lost, []string{"a b"}) {
			t.Errorf("stream_open = %s", open.Raw)
		}
		ada.Do("GET", "/v1/rooms/nowhere", nil).Want(404) // and asking for it created no room
	})
}

func TestInvalidStreamParameters(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.In(t)
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
			ada.Refused(over, query).WantProblem(400, "", field)
		}
	})
}
