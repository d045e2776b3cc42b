package suite

import (
	"fmt"
	"slices"
	"strings"
)

func opening(t *T) {
	ada := t.User()
	room, other := t.Room(ada), t.Room(ada)
	s := t.Open(ada, rooms(room, other))
	e := s.Opening()
	if e.User != ada.Name || len(e.Lost) != 0 || e.Resumed || !slices.Equal(slices.Sorted(slices.Values(e.Rooms)), slices.Sorted(slices.Values([]string{room, other}))) {
		t.Errorf("stream_open = %s", e.Raw)
	}
	at := -1 // "Keys come in the order shown"
	for _, key := range []string{"type", "user", "rooms", "lost", "since", "resumed", "log"} {
		next := strings.Index(e.Raw, fmt.Sprintf("%q:", key))
		if next <= at {
			t.Errorf("key %s of stream_open missing or out of order: %s", key, e.Raw)
		}
		at = next
	}
	list := s.Lists[room]
	if want := fmt.Sprintf(`{"type":"user_list","room":%q,"users":[%q],"count":1}`, room, ada.Name); list.Raw != want {
		t.Errorf("list = %s, want %s", list.Raw, want)
	}
	// The user's own join is not sent; the next post is.
	post := ada.Post(other, "first")
	for _, e := range s.Until("the post", func(e Event) bool { return e.ID != 0 }) {
		if e.Type == "user_join" || e.Type == "chat_message" && e.Raw != post.Raw {
			t.Errorf("got %s after the opening", e.Raw)
		}
	}

	inbox := t.Open(ada, "")
	if e := inbox.Opening(); len(e.Rooms) != 0 || !strings.Contains(e.Raw, `"rooms":[]`) {
		t.Errorf("inbox stream: stream_open = %s", e.Raw)
	}
}

// order makes several users post at once: all streams have the log's events in its order.
func order(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	s := t.Open(bob, rooms(room))
	s.Opening()
	const posters, posts = 4, 12
	posted := make([][]Event, posters)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.Together(posters, func(i int) {
			for n := range posts {
				posted[i] = append(posted[i], ada.Post(room, fmt.Sprintf("%d of %d", n, i)))
			}
		})
	}()
	defer func() { <-done }()
	var seen []Event
	for len(seen) < posters*posts {
		if seen = append(seen, s.Durable()); len(seen)%(posters*posts/3) == 0 {
			s = s.Turn()
		}
	}
	<-done
	bytes := map[string]bool{}
	for _, e := range seen {
		bytes[e.Raw] = true
	}
	for i := range posted {
		at := int64(0)
		for _, e := range posted[i] {
			if !bytes[e.Raw] {
				t.Errorf("%s was not delivered", e.Raw)
			}
			if e.ID <= at {
				t.Errorf("post sent after response %d got id %d", at, e.ID)
			}
			at = e.ID
		}
	}
	s.Message(ada.Post(room, "the end"))
	history := ada.History(room)
	for i, e := range seen {
		if i >= len(history) || history[i].ID != e.ID || history[i].Message != e.Message {
			t.Fatalf("history and stream differ at event %d", i)
		}
	}
}

// delivery is the simplest scenario: a few posts, one after the other.
func delivery(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	s := t.Open(bob, rooms(room))
	s.Opening()
	for n := range 4 {
		s.Message(ada.Post(room, fmt.Sprint("one by one ", n)))
	}
	s = s.Turn()
	var burst []Event
	for n := range 8 {
		burst = append(burst, ada.Post(room, fmt.Sprint("at once ", n)))
	}
	s.Messages(burst[:4]...)
	s = s.Turn()
	s.Messages(burst[4:]...)
}

// idempotency checks that a post is delivered once, however often it is retried.
func idempotency(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	s := t.Open(bob, rooms(room))
	s.Opening()
	key := "Idempotency-Key: " + t.Name()
	post := func(text string) Answer {
		return ada.Do("POST", roomPath(room, "messages"), map[string]string{"message": text}, key)
	}
	first := post("once").Want(201).Event()
	s = s.Turn()
	if again := post("once").Want(200).Event(); again.Raw != first.Raw {
		t.Errorf("retry of\n  %s\nreturned\n  %s", first.Raw, again.Raw)
	}
	post("twice").Problem(422, "idempotency_mismatch", "")
	s.Messages(first, ada.Post(room, "the end"))
}
