package accounts

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestAnonymousReaders(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AnonymousRead, func(cfg *program.Settings) {
		cfg.LimitStreams = 2
		cfg.RingBytes = 0 // so that replays read from the log, where the control events are
	})
	ada, nobody := p.Signup(t, "ada"), p.Visitor(t)
	ada.Enter("lobby")
	ada.PrivateRoom("den")
	first := ada.Post("lobby", "first")
	ada.Post("den", "secret")
	if got := nobody.Names("/v1/rooms"); !slices.Equal(got, []string{"lobby"}) {
		t.Errorf("an anonymous reader sees %v, want [lobby]", got)
	}
	var r harness.Room
	if nobody.Do("GET", "/v1/rooms/lobby", nil).Want(200).Into(&r); r.Role != nil || r.LastID != first.ID {
		t.Errorf("room as an anonymous reader sees it = %+v", r)
	}
	if got := nobody.History("lobby", "").Items; len(got) != 1 || got[0].Message != "first" {
		t.Errorf("anonymous history = %s", harness.Show(got))
	}
	nobody.Do("POST", "/v1/rooms/lobby/messages", harness.Raw("x")).WantProblem(401, "missing_token", "")
	nobody.WithToken("nonsense").Do("GET", "/v1/rooms", nil).WantProblem(401, "invalid_token", "") // a bad token is worse than none
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		nobody, ada := nobody.In(t), ada.In(t)
		// A replay from the beginning includes control events, but shows this room only.
		ada.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).Want(200).Into(&ada.Session)
		ada.Do("POST", "/v1/auth/logout", nil).Want(204)
		ada.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).Want(200).Into(&ada.Session)
		s := nobody.Open(over, "room=lobby&since=0")
		if open := s.Opening(); open.User != "" || slices.Contains(s.Lists["lobby"].Users, "") {
			t.Errorf("stream starts with %s and %s", open.Raw, s.Lists["lobby"].Raw)
		}
		live := "live over " + string(over)
		ada.Post("lobby", live)
		ada.Post("den", "secret")
		ada.Post("lobby", "marker over "+string(over))
		for _, e := range s.UntilMessage("marker over " + string(over)) {
			if e.Room != "" && e.Room != "lobby" || !slices.Contains([]string{"stream_open", "user_list", "chat_message", "member_added", "user_join", "ping"}, e.Type) {
				t.Errorf("the anonymous stream got %s", e.Raw)
			}
		}
		nobody.Refused(over, "room=den").WantProblem(404, "room_not_found", "")
		// Anonymous streams have the same limit as a user's, and are not counted with ada's.
		second := nobody.Open(over, "room=lobby")
		second.Opening()
		if over == harness.OverSSE {
			nobody.Refused(over, "room=lobby").WantProblem(429, "too_many_streams", "")
		}
		mine := ada.Open(over, "room=lobby")
		if mine.Opening(); !slices.Equal(mine.Lists["lobby"].Users, []string{"ada"}) {
			t.Errorf("ada's user list with only anonymous readers = %s", mine.Lists["lobby"].Raw)
		}
		for _, s := range []*harness.Stream{s, second, mine} {
			s.Close()
		}
		harness.Eventually(t, "the streams end", func() bool { return p.Running.Stats().Streams["sse"]+p.Running.Stats().Streams["ws"] == 0 })
	})
	// Anonymous streams lose a room that becomes private.
	ada.Do("PATCH", "/v1/rooms/lobby", map[string]string{"visibility": "private"}).Want(200)
	nobody.Do("GET", "/v1/rooms/lobby", nil).WantProblem(404, "room_not_found", "")
	nobody.Do("GET", "/v1/rooms/lobby/messages", nil).WantProblem(404, "room_not_found", "")
}

func TestAnonymousReadersHaveALimit(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AnonymousRead, harness.StillLimits, func(cfg *program.Settings) {
		cfg.LimitPosts = 1 // in bursts of two
		cfg.TrustedProxies = []string{"127.0.0.1"}
	})
	p.Signup(t, "ada").Enter("lobby")
	nobody := p.Visitor(t)
	from := func(i int) string { return fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i) }
	for range 2 {
		nobody.Do("GET", "/v1/rooms/lobby/messages", nil, from(1)).Want(200)
	}
	nobody.Do("GET", "/v1/rooms/lobby/messages", nil, from(1)).WantProblem(429, "rate_limited", "")
	nobody.Do("GET", "/v1/rooms", nil, from(2)).Want(200) // another address

	// Commands over a WebSocket count against the limit of their address, and no other.
	ask := func(s *harness.Stream) int {
		s.Say(harness.RequestFrame(t, "", "GET", "/v1/rooms/lobby/messages", nil))
		return s.Reply().Status
	}
	spends, other := nobody.Open(harness.OverWS, "room=lobby", from(3)), nobody.Open(harness.OverWS, "room=lobby", from(4))
	for i, want := range []int{200, 429} { // opening the stream was the first of two
		if got := ask(spends); got != want {
			t.Errorf("call %d of an address: got %d, want %d", i+1, got, want)
		}
	}
	if got := ask(other); got != 200 {
		t.Errorf("another address got %d, want 200", got)
	}
}

func TestAnonymousReadIsOffByDefault(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	p.Signup(t, "ada").Enter("lobby")
	nobody := p.Visitor(t)
	for _, target := range []string{"/v1/rooms", "/v1/rooms/lobby", "/v1/rooms/lobby/messages"} {
		nobody.Do("GET", target, nil).WantProblem(401, "missing_token", "")
	}
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		nobody.In(t).Refused(over, "room="+url.QueryEscape("lobby")).WantProblem(401, "missing_token", "")
	})
}
