package suite

import (
	"fmt"
	"net/http"
	"strings"
)

// sseHeaders checks the headers that keep proxies from buffering. Every stream checks that `retry:` comes first, and
// the id and event of each block.
func sseHeaders(t *T) {
	ada := t.User()
	room := t.Room(ada)
	s := t.Open(ada, rooms(room))
	s.Opening()
	for name, want := range map[string]string{"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no", "Content-Encoding": ""} {
		if got := s.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	s.Message(ada.Post(room, "hi"))
	byFormat := t.Open(ada, rooms(room)+"&format="+string(t.Over.Wire), "Accept: */*")
	byFormat.Opening()
	byFormat.Message(ada.Post(room, "asked for by format"))
}

// byDefault asks for no format, and gets Server-Sent Events.
func byDefault(t *T) {
	ada := t.User()
	room := t.Room(ada)
	for _, accept := range []string{"*/*", "text/*", "text/event-stream;q=0.9, */*;q=0.1"} {
		s := t.Open(ada, rooms(room), "Accept: "+accept)
		s.Opening()
		s.Message(ada.Post(room, accept))
	}
}

// formats chooses the format by parameter, for clients that cannot set Accept.
func formats(t *T) {
	ada := t.User()
	room := t.Room(ada)
	s := t.Open(ada, rooms(room)+"&format="+string(t.Over.Wire), "Accept: */*")
	s.Opening()
	s.Message(ada.Post(room, "hi"))
}

// poll makes one poll and returns the envelope.
func (t *T) poll(u *User, query string) envelope {
	req, err := http.NewRequestWithContext(t.ctx, t.Over.Method, *t.url.Load()+"/v1/events?"+query, nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	req.Header.Set("Authorization", "Bearer "+u.token)
	req.Header.Set("Accept", accepts[Poll])
	resp, err := t.http1.RoundTrip(req)
	if err != nil {
		t.Fatalf("poll ?%s: %v", query, err)
	}
	a, err := readAnswer("poll ?"+query, resp)
	if a.t = t; err != nil {
		t.Fatalf("%s: %v", a.call, err)
	}
	if !strings.HasPrefix(a.Header.Get("Content-Type"), accepts[Poll]) {
		t.Errorf("%s: Content-Type = %q", a.call, a.Header.Get("Content-Type"))
	}
	if strings.Contains(a.Header.Get("Cache-Control"), "max-age") {
		t.Errorf("%s: Cache-Control = %q", a.call, a.Header.Get("Cache-Control"))
	}
	e, err := parseEnvelope(a.Want(200).Body)
	if err != nil {
		t.Fatalf("%s: %v", a.call, err)
	}
	return e
}

// types returns the types of an answer's events.
func (e envelope) types(t *T) string {
	var types []string
	for _, raw := range e.Events {
		event, err := parseEvent(raw)
		if err != nil {
			t.Errorf("%v", err)
		}
		types = append(types, event.Type)
	}
	return strings.Join(types, " ")
}

// polling checks single answers.
func polling(t *T) {
	ada := t.User()
	room := t.Room(ada)
	first := t.poll(ada, rooms(room)) // without since it is answered at once
	if got := first.types(t); got != "stream_open user_list" {
		t.Errorf("events of the first response = %s", got)
	}
	post := ada.Post(room, "one")
	for range 2 { // a poll consumes nothing
		e := t.poll(ada, rooms(room)+"&since="+first.Since)
		if got := e.types(t); got != "stream_open user_list chat_message" || string(e.Events[2]) != post.Raw {
			t.Errorf("events since %s = %s", first.Since, got)
		}
		if at, _ := position(e.Since); at < post.ID { // it may be beyond posts elsewhere
			t.Errorf("since after event %d = %s", post.ID, e.Since)
		}
	}
	since := fmt.Sprintf("%d.%s", post.ID, strings.SplitN(first.Since, ".", 2)[1])
	for _, wait := range []string{"0", "1"} {
		e := t.poll(ada, rooms(room)+"&since="+since+"&wait="+wait)
		if got := e.types(t); got != "stream_open user_list" {
			t.Errorf("wait=%s without news: events = %s", wait, got)
		}
		if at, _ := position(e.Since); at < post.ID {
			t.Errorf("without news since %s: since = %s", since, e.Since)
		}
	}
	answered := make(chan envelope)
	go func() {
		defer close(answered) // the poll may fail
		answered <- t.poll(ada, rooms(room)+"&since="+since+"&wait=60")
	}()
	next := ada.Post(room, "two") // before or after the poll has started
	if e := <-answered; len(e.Events) != 3 || string(e.Events[2]) != next.Raw {
		t.Errorf("waiting poll returned %q", e.Events)
	}
	for _, wait := range []string{"61", "-1", "x"} {
		t.Refused(ada, rooms(room)+"&wait="+wait).Problem(400, "", "wait")
	}
}
