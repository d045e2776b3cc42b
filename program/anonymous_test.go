package program

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
)

func anonymousRead(cfg *Settings) { cfg.AnonymousRead = true }

func TestAnonymousReaders(t *testing.T) {
	t.Parallel()
	p := startProgram(t, anonymousRead, func(cfg *Settings) {
		cfg.LimitStreams = 2
		cfg.RingBytes = 0 // so that replays read the log, where control events are
	})
	ada, nobody := p.signup(t, "ada"), p.visitor(t)
	ada.enter("lobby")
	ada.privateRoom("den")
	first := ada.post("lobby", "first")
	ada.post("den", "secret")
	if got := nobody.names("/v1/rooms"); !slices.Equal(got, []string{"lobby"}) {
		t.Errorf("nobody sees %v", got)
	}
	var r room
	if nobody.do("GET", "/v1/rooms/lobby", nil).want(200).into(&r); r.Role != nil || r.LastID != first.ID {
		t.Errorf("nobody sees %+v", r)
	}
	if got := nobody.history("lobby", "").items; len(got) != 1 || got[0].Message != "first" {
		t.Errorf("nobody reads %s", show(got))
	}
	nobody.do("POST", "/v1/rooms/lobby/messages", raw("x")).wantProblem(401, "missing_token", "")
	nobody.withToken("nonsense").do("GET", "/v1/rooms", nil).wantProblem(401, "invalid_token", "") // bad is worse than none
	onEach(t, func(t *testing.T, over transport) {
		nobody, ada := nobody.in(t), ada.in(t)
		// All that ever happened, control events among it, and yet this room alone.
		ada.do("POST", "/v1/auth/login", credentials{"ada", ada.password}).want(200).into(&ada.session)
		ada.do("POST", "/v1/auth/logout", nil).want(204)
		ada.do("POST", "/v1/auth/login", credentials{"ada", ada.password}).want(200).into(&ada.session)
		s := nobody.open(over, "room=lobby&since=0")
		if open := s.opening(); open.User != "" || slices.Contains(s.lists["lobby"].Users, "") {
			t.Errorf("the stream begins with %s and %s", open.raw, s.lists["lobby"].raw)
		}
		live := "live over " + string(over)
		ada.post("lobby", live)
		ada.post("den", "secret")
		ada.post("lobby", "marker over "+string(over))
		for _, e := range s.untilMessage("marker over " + string(over)) {
			if e.Room != "" && e.Room != "lobby" || !slices.Contains([]string{"stream_open", "user_list", "chat_message", "member_added", "user_join", "ping"}, e.Type) {
				t.Errorf("nobody got %s", e.raw)
			}
		}
		nobody.refused(over, "room=den").wantProblem(404, "room_not_found", "")
		// As many streams as a user may have, and they are not counted with ada's.
		second := nobody.open(over, "room=lobby")
		second.opening()
		if over == overSSE {
			nobody.refused(over, "room=lobby").wantProblem(429, "too_many_streams", "")
		}
		mine := ada.open(over, "room=lobby")
		if mine.opening(); !slices.Equal(mine.lists["lobby"].Users, []string{"ada"}) {
			t.Errorf("with nobody there, ada finds %s", mine.lists["lobby"].raw)
		}
		for _, s := range []*stream{s, second, mine} {
			s.close()
		}
		eventually(t, "the streams to end", func() bool { return p.running.hub.Stats().Streams["sse"]+p.running.hub.Stats().Streams["ws"] == 0 })
	})
	// A room that becomes private is lost to them.
	ada.do("PATCH", "/v1/rooms/lobby", map[string]string{"visibility": "private"}).want(200)
	nobody.do("GET", "/v1/rooms/lobby", nil).wantProblem(404, "room_not_found", "")
	nobody.do("GET", "/v1/rooms/lobby/messages", nil).wantProblem(404, "room_not_found", "")
}

func TestAnonymousReadersHaveALimit(t *testing.T) {
	t.Parallel()
	p := startProgram(t, anonymousRead, func(cfg *Settings) {
		cfg.LimitPosts = 1 // in bursts of two
		cfg.TrustedProxies = []string{"127.0.0.1"}
	})
	p.signup(t, "ada").enter("lobby")
	nobody := p.visitor(t)
	from := func(i int) string { return fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i) }
	limited := false
	for range 50 { // far more than there can be within these milliseconds
		if a := nobody.do("GET", "/v1/rooms/lobby/messages", nil, from(1)); a.status == 429 {
			a.wantProblem(429, "rate_limited", "")
			limited = true
			break
		}
	}
	if !limited {
		t.Error("an address reads without end")
	}
	nobody.do("GET", "/v1/rooms", nil, from(2)).want(200) // another's share

	// Their commands over a WebSocket are counted with the rest of their address, and not with other addresses.
	ask := func(s *stream) int {
		s.say(requestFrame(t, "", "GET", "/v1/rooms/lobby/messages", nil))
		return s.reply().Status
	}
	spends, other := nobody.open(overWS, "room=lobby", from(3)), nobody.open(overWS, "room=lobby", from(4))
	limited = false
	for range 50 {
		if limited = ask(spends) == 429; limited {
			break
		}
	}
	if got := ask(other); !limited || got != 200 {
		t.Errorf("one is limited: %v; another is answered %d", limited, got)
	}
}

func TestWithoutTheSettingNobodyReads(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	p.signup(t, "ada").enter("lobby")
	nobody := p.visitor(t)
	for _, target := range []string{"/v1/rooms", "/v1/rooms/lobby", "/v1/rooms/lobby/messages"} {
		nobody.do("GET", target, nil).wantProblem(401, "missing_token", "")
	}
	onEach(t, func(t *testing.T, over transport) {
		nobody.in(t).refused(over, "room="+url.QueryEscape("lobby")).wantProblem(401, "missing_token", "")
	})
}
