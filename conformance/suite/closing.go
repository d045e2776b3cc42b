package suite

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

func signedOut(t *T) {
	ada := t.User()
	room := t.Room(ada)
	second := ada.Again()
	s, stays := t.Open(second, rooms(room)), t.Open(ada, rooms(room))
	s.Opening()
	stays.Opening()
	s.Message(ada.Post(room, "before"))
	second.Do("POST", "/v1/auth/logout", nil).Want(204)
	s.Ended("signed_out", 4401)
	t.Refused(second, rooms(room)).Problem(401, "", "")
	ada.Post(room, "after") // the same user's other session continues
	if e := stays.Durable(); e.Message != "before" {
		t.Errorf("other session's stream got %s", e.Raw)
	}
	if e := stays.Durable(); e.Message != "after" {
		t.Errorf("other session's stream got %s", e.Raw)
	}
}

// apiToken creates a token for a script.
func (u *User) apiToken(body map[string]any) (token, path string) {
	var made struct {
		ID    int64
		Token string
	}
	u.Do("POST", "/v1/tokens", body).Want(201).Into(&made)
	return made.Token, fmt.Sprint("/v1/tokens/", made.ID)
}

func tokenRevoked(t *T) {
	ada := t.User()
	room := t.Room(ada)
	token, path := ada.apiToken(map[string]any{"name": "conformance"})
	s := t.Open(ada.With(token), rooms(room))
	s.Opening()
	s.Message(ada.Post(room, "before"))
	ada.Do("DELETE", path, nil).Want(204)
	s.Ended("signed_out", 4401)
}

func tokenExpired(t *T) {
	ada := t.User()
	room := t.Room(ada)
	token, _ := ada.apiToken(map[string]any{"name": "conformance", "expires_in": 4})
	s := t.Open(ada.With(token), rooms(room))
	s.Opening()
	s.Ended("token_expired", 4401)
	t.Refused(ada.With(token), rooms(room)).Problem(401, "", "")
}

func disabled(t *T) {
	ada, bob := t.User(), t.Fresh()
	room := t.Room(ada)
	s := t.Open(bob, rooms(room))
	s.Opening()
	s.Message(ada.Post(room, "before"))
	t.do(t.AdminToken, "PATCH", "/v1/admin/users/"+bob.Name, map[string]bool{"disabled": true}).OK()
	s.Ended("disabled", 4403)
	t.Cleanup(func() { // so that the account can be deleted
		_, _ = t.call(t.AdminToken, "PATCH", "/v1/admin/users/"+bob.Name, map[string]bool{"disabled": false})
		if a, err := t.call("", "POST", "/v1/auth/login", map[string]string{"username": bob.Name, "password": bob.password}); err == nil && a.Status == 200 {
			var s session
			a.t = t
			a.Into(&s)
			bob.take(s)
		}
	})
}

func tooManyStreams(t *T) {
	ada := t.User()
	first := t.Open(ada, "")
	first.Opening()
	_, quota, _ := strings.Cut(first.Header.Get("RateLimit-Policy"), "q=")
	quota, _, _ = strings.Cut(quota, ";")
	most, err := strconv.Atoi(quota)
	if err != nil || most > 100 {
		t.Lack("the server has no limit of streams, or one too high to try")
	}
	for range most - 1 {
		t.Open(ada, "").Opening()
	}
	if t.Over.Wire == WebSocket {
		t.Open(ada, "").Ended("too_many_streams", 4429)
		return
	}
	a := t.oneTooMany(ada)
	a.Problem(429, "", "")
	if after, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || after < 1 {
		t.Errorf("Retry-After = %q", a.Header.Get("Retry-After"))
	}
}

// oneTooMany checks the answer to a stream beyond u's limit.
func (t *T) oneTooMany(u *User) Answer {
	if t.Over.Wire != Poll {
		return t.Refused(u, "")
	}
	for end := time.Now().Add(t.Patience); ; time.Sleep(10 * time.Millisecond) { // the others may be between two polls
		a, err := t.callOnce(u.token, "GET", "/v1/events?wait=0", nil, "Accept: application/json")
		if err != nil {
			t.Fatalf("poll: %v", err)
		}
		if a.t = t; a.Status == 429 || time.Now().After(end) {
			return a
		}
	}
}

// ping checks that a ping comes every 20 s, on all transports but the poll.
func ping(t *T) {
	ada := t.User()
	room := t.Room(ada)
	streams := map[string]*Stream{}
	for _, tr := range t.over {
		one := t.on(tr)
		one.Patience += t.Patience // it comes after 20 s
		s := one.Open(ada, rooms(room))
		s.Opening()
		streams[tr.Name] = s
	}
	last := ada.Post(room, "hi")
	var pinged sync.Map // by transport
	t.Each(func(t *T) {
		s := streams[t.column]
		s.Message(last)
		// A ping has the stream's position, which includes events of others.
		e := s.Next("ping")
		if at, err := position(e.Since); err != nil || at < last.ID {
			t.Errorf("got %[2]s after event %[1]d", last.ID, e.Raw)
		}
		pinged.Store(t.column, true)
	})
	behind := ada.Post(room, "behind a ping")
	t.Each(func(t *T) {
		if _, ok := pinged.Load(t.column); ok { // otherwise it has failed already
			streams[t.column].Resume(t.Over).Message(behind)
		}
	})
}

// restart stops and starts the server under open streams.
func restart(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	streams := map[string]*Stream{}
	first := ada.Post(room, "first")
	for _, tr := range t.over {
		s := t.on(tr).Open(bob, rooms(room)+"&since="+id(first))
		s.Opening()
		streams[tr.Name] = s
	}
	before := []Event{ada.Post(room, "one"), ada.Post(room, "two")}
	t.Each(func(t *T) {
		s := streams[t.column]
		s.Messages(before...)
	})
	url, err := t.Restart(t.ctx)
	if err != nil {
		t.Fatalf("restart: %v", err)
	}
	t.setURL(url)
	t.http1.CloseIdleConnections()
	t.http2.CloseIdleConnections()
	after := ada.Post(room, "after")
	if after.ID <= before[1].ID {
		t.Errorf("first id after the restart = %d", after.ID)
	}
	t.Each(func(t *T) {
		s := streams[t.column]
		if s.Over.Wire != Poll { // whose last answer says nothing if no poll was waiting
			s.Ended("restart", 1012)
			s.cursor = fmt.Sprintf("%d.%s", before[1].ID, s.log)
		}
		for _, to := range t.over {
			next := s.Resume(to)
			next.Message(after)
			next.Close()
			all := t.OpenOver(to, bob, rooms(room)+"&since="+id(first))
			all.Opening()
			all.Messages(append(before, after)...)
			all.Close()
		}
	})
}
