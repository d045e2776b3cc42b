package suite

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// resume passes the cursor in every possible way.
func resume(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	s := t.Open(bob, rooms(room))
	log := s.Opening().Log
	var posts []Event
	for n := range 5 {
		posts = append(posts, ada.Post(room, fmt.Sprint(n)))
	}
	s.Messages(posts[:2]...)
	s.Close()
	full := fmt.Sprintf("%d.%s", posts[1].ID, log)
	bare := fmt.Sprint(posts[1].ID)
	for _, way := range []how{
		{query: "since=" + full}, {query: "since=" + bare},
		{query: "last_event_id=" + full}, {query: "lastEventId=" + bare},
		{headers: []string{"Last-Event-ID: " + full}}, {headers: []string{"Last-Event-ID: " + bare}},
		{query: "since=0", headers: []string{"Last-Event-ID: " + full}},                // the header wins,
		{query: "since=" + bare + "0000", headers: []string{"Last-Event-ID: " + full}}, // also over a cursor that would be reset
		{query: "since=" + full + "&history=5"},                                        // and the cursor over the history
	} {
		s := t.OpenOver(t.Then, bob, rooms(room)+"&"+way.query, way.headers...)
		if e := s.Opening(); !e.Resumed || e.Since != full {
			t.Errorf("?%s %q: stream_open = %s", way.query, way.headers, e.Raw)
		}
		s.Messages(posts[2:]...)
		s.Close()
	}
	// From the head there is nothing to replay, and from 0 everything.
	head := t.OpenOver(t.Then, bob, rooms(room)+"&since="+id(posts[4]))
	head.Opening()
	all := t.OpenOver(t.Then, bob, rooms(room)+"&since=0")
	all.Opening()
	next := ada.Post(room, "next")
	head.Message(next)
	for _, e := range append(posts, next) {
		for got := all.Durable(); got.Raw != e.Raw; got = all.Durable() {
			if got.Room == room && got.Type == "chat_message" {
				t.Fatalf("since=0 replayed %s, want %s", got.Raw, e.Raw)
			}
		}
	}
}

// cuts reconnects repeatedly while others post, after connections that break at any byte.
func cuts(t *T) {
	ada, bob := t.User(), t.User()
	room, other := t.Room(ada), t.Room(ada)
	first := t.Open(bob, rooms(room, other))
	cursor := first.Opening().Since
	first.Close()
	const posts = 60
	var posted []Event
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range posts {
			posted = append(posted, ada.Post([]string{room, other}[rand.IntN(2)], fmt.Sprint("number ", n)))
			if n%8 == 0 {
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) // paces the load
			}
		}
	}()
	defer func() { <-done }()
	var seen []Event
	over, next := t.Over, t.Then
	stuck := 0 // connections since the last event
	for moved, n := time.Now(), 0; len(seen) < posts; n++ {
		if time.Since(moved) > 3*t.Patience || t.ctx.Err() != nil {
			t.Fatalf("got only %[2]d of %[3]d events after %[1]d connections", n, len(seen), posts)
		}
		h := how{query: rooms(room, other) + "&since=" + cursor}
		if !over.HTTP2 {
			// An opening takes some hundred bytes, and a TLS handshake some more. A poll that must catch up with many posts
			// needs all of its answer: it is not cut for ever.
			h.cutAfter = 400 + rand.IntN(4000+500*stuck)
			if strings.HasPrefix(t.URL, "https:") {
				h.cutAfter += 2000
			}
		}
		s, refusal, err := t.TryOver(over, bob, h)
		if refusal != nil {
			t.Fatalf("resuming from %s: %s", cursor, refusal)
		}
		over, next = next, over
		stuck++
		if err != nil {
			continue // cut in the response header
		}
		enough := 1 + rand.IntN(20) // or the reader closes
		for read := 0; read < enough && len(seen) < posts; {
			e, err := s.next(t.Patience)
			if err != nil {
				break
			}
			if e.Type == "stream_open" && (!e.Resumed || e.Since != cursor) || e.Type == "stream_reset" {
				t.Fatalf("%s, resumed from %s: %s", s.Over.Name, cursor, e.Raw)
			}
			if e.ID != 0 {
				if want := fmt.Sprint("number ", len(seen)); e.Message != want {
					t.Fatalf("%s: got %[3]s, want %[2]q", s.Over.Name, want, clip(e.Raw))
				}
				seen, moved, stuck = append(seen, e), time.Now(), 0
				read++
			}
			cursor = s.cursor
		}
		s.Close()
	}
	<-done
	for i, e := range seen {
		if i >= len(posted) || e.Raw != posted[i].Raw {
			t.Fatalf("event %d of %d = %s, want %s", i, posts, clip(e.Raw), clip(posted[min(i, len(posted)-1)].Raw))
		}
	}
}

// resets uses invalid cursors: the stream says so, and continues live from the head.
func resets(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	before := ada.Post(room, "before")
	probe := t.Open(bob, rooms(room))
	open := probe.Opening()
	probe.Close()
	other := []byte(open.Log)
	other[0] = map[bool]byte{true: 'b', false: 'a'}[other[0] == 'a']
	for _, test := range []struct {
		why    string
		cursor string
		header bool
	}{
		{"another log", fmt.Sprintf("%d.%s", before.ID, other), false},
		{"ahead of the head", fmt.Sprintf("%d.%s", before.ID+1_000_000_000, open.Log), false},
		{"ahead of the head", fmt.Sprint(before.ID + 1_000_000_000), false},
		{"malformed, in the header", "no-cursor", true},
		{"malformed, in the header", "-1", true},
		{"another log, in the header", fmt.Sprintf("%d.%s", before.ID, other), true},
	} {
		query, headers := rooms(room), []string{"Last-Event-ID: " + test.cursor}
		if !test.header {
			query, headers = query+"&since="+test.cursor, nil
		}
		s := t.Open(bob, query, headers...)
		if e := s.Opening(); e.Resumed {
			t.Errorf("%s: stream_open = %s", test.why, e.Raw)
		}
		e := s.Next("stream_reset")
		if e.Reason == "" || e.Head < before.ID || e.Floor < 0 || !strings.Contains(e.Raw, `"floor":`) {
			t.Errorf("%s: %s", test.why, e.Raw)
		}
		s.Message(ada.Post(room, "live "+test.cursor))
		s = s.Turn() // after a reset a cursor works as usual
		s.Message(ada.Post(room, "and on "+test.cursor))
		s.Close()
	}
}

func history(t *T) {
	ada, bob := t.User(), t.User()
	for _, test := range []struct {
		n    int
		want []int // of log
	}{
		{0, nil}, {1, []int{5, 6}}, {2, []int{2, 3, 4, 5, 6}}, {100, []int{0, 1, 2, 3, 4, 5, 6}},
	} {
		room, other := t.Room(ada), t.Room(ada)
		log := []Event{ada.Post(room, "one"), ada.Post(other, "eins"), ada.Post(room, "two")}
		bob.Enter(room) // an event that is not a message
		log = append(log, Event{}, ada.Post(other, "zwei"), ada.Post(room, "three"), ada.Post(other, "drei"))
		s := t.Open(ada, rooms(room, other)+fmt.Sprintf("&history=%d", test.n))
		if e := s.Opening(); e.Resumed {
			t.Errorf("history=%d: stream_open = %s", test.n, e.Raw)
		}
		for _, i := range test.want {
			e := s.Durable()
			for test.n == 100 && e.ID < log[0].ID { // creating the rooms
				e = s.Durable()
			}
			if i == 3 && (e.Type != "member_added" || e.Target != bob.Name) || i != 3 && e.Raw != log[i].Raw {
				t.Fatalf("history=%d: got %[3]s, want %[2]s", test.n, log[i].Raw, e.Raw)
			}
		}
		s = s.Turn()
		s.Message(ada.Post(room, "live"))
		s.Close()
	}
	for _, n := range []string{"-1", "101", "x"} {
		t.Refused(ada, "history="+n).Problem(400, "", "history")
	}
}

// lost asks for rooms that do not exist, with a cursor.
func lost(t *T) {
	ada, bob := t.User(), t.User()
	room, never := t.Room(ada), t.Name()
	s := t.Open(bob, rooms(room))
	since := s.Opening().Since
	s.Close()
	s = t.Open(bob, rooms(never, room)+"&since="+since)
	if e := s.Opening(); !slices.Equal(e.Lost, []string{never}) || !slices.Equal(e.Rooms, []string{room}) || !e.Resumed {
		t.Errorf("stream_open = %s", e.Raw)
	}
	s.Message(ada.Post(room, "hi"))
}
