package program

import (
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// wantLimited asserts a 429 with its code, that says when to come back and that nothing of this limit is left.
func (a answer) wantLimited(code, policy string) {
	a.t.Helper()
	a.wantProblem(429, code, "")
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 {
		a.t.Errorf("%s: Retry-After is %q", a.call, a.header.Get("Retry-After"))
	}
	if left, has := a.left(policy); !has || left != 0 {
		a.t.Errorf("%s: RateLimit is %q", a.call, a.header.Get("RateLimit"))
	}
}

// left is what remains of a limit, as an answer's header says.
func (a answer) left(policy string) (left int, has bool) {
	a.t.Helper()
	for item := range strings.SplitSeq(a.header.Get("RateLimit"), ", ") {
		name, rest, _ := strings.Cut(item, ";r=")
		if name != strconv.Quote(policy) {
			continue
		}
		digits, _, _ := strings.Cut(rest, ";")
		left, err := strconv.Atoi(digits)
		if err != nil {
			a.t.Errorf("%s: RateLimit is %q", a.call, a.header.Get("RateLimit"))
		}
		return left, true
	}
	return 0, false
}

// A limit of one a second, in bursts of two, is met however slow the machine is: posts go out until one is refused.
func TestPostsAreLimitedByUser(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.LimitPosts = 1 })
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	lobby := roomPath("lobby") + "/messages"

	first := ada.do("POST", lobby, raw("1"), "Idempotency-Key: first").want(201)
	if got := first.header.Get("RateLimit-Policy"); got != `"posts";q=2;w=2` {
		t.Errorf("the policy is %s", got)
	}
	if left, has := first.left("posts"); !has || left != 1 {
		t.Errorf("after the first of two, RateLimit is %q", first.header.Get("RateLimit"))
	}

	// Retries of one post, JSON that is none and bodies that are too long use up the same limit.
	posted := []string{"1"}
	untilRefused := func(send func() answer) answer {
		t.Helper()
		for range 1000 {
			if a := send(); a.status == 429 {
				return a
			}
		}
		t.Fatal("nothing of 1,000 in a row was refused")
		return answer{}
	}
	untilRefused(func() answer { return ada.do("POST", lobby, raw("1"), "Idempotency-Key: first") }).wantLimited("rate_limited", "posts")
	untilRefused(func() answer {
		return ada.do("POST", lobby, raw("{"), "Content-Type: application/json")
	}).wantLimited("rate_limited", "posts")
	untilRefused(func() answer {
		return ada.do("POST", lobby, raw(strings.Repeat("x", 70_000)))
	}).wantLimited("rate_limited", "posts")

	// Another user has a limit of their own.
	bob.do("POST", lobby, raw("bob's")).want(201)
	posted = append(posted, "bob's")

	// A refused post is nowhere, and its key is still free: with another body it is no mismatch.
	n := 0
	untilRefused(func() answer {
		n++
		a := ada.do("POST", lobby, raw(fmt.Sprint("try ", n)), fmt.Sprintf("Idempotency-Key: try-%d", n))
		if a.status == 201 {
			posted = append(posted, fmt.Sprint("try ", n))
		}
		return a
	})
	for retry := 0; ; retry++ {
		a := ada.do("POST", lobby, raw("in the end"), fmt.Sprintf("Idempotency-Key: try-%d", n))
		if a.status == 201 {
			break
		}
		a.wantLimited("rate_limited", "posts")
		if retry == 100_000 {
			t.Fatal("the limit never lets anything through again")
		}
	}
	posted = append(posted, "in the end")
	for i, e := range ada.wholeHistory("lobby") {
		if i >= len(posted) || e.Message != posted[i] {
			t.Errorf("message %d is %s; posted were %q", i, e.raw, posted)
		}
	}

	// What is no post is not limited by this.
	ada.do("GET", "/v1/me", nil).want(200)
	// Who has no token uses up nobody's limit, and learns nothing of it.
	if a := p.visitor(t).do("POST", lobby, raw("hi")).want(401); a.header.Get("RateLimit") != "" {
		t.Errorf("a visitor is told %q", a.header.Get("RateLimit"))
	}
}

// The account's limit is the same for a name that exists, one that does not and one that cannot; only attempts count,
// however they end; and each name has its own.
func TestLoginsAreLimitedByAccount(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) {
		cfg.LimitLogins = 1 // so the next is let in after a minute, however slow the machine is
		cfg.TrustedProxies = []string{"127.0.0.0/8", "::1"}
	})
	ada := p.signup(t, "ada")
	p.signup(t, "bob")
	visitor := p.visitor(t)
	addresses := 0
	login := func(name, password string) answer {
		addresses++ // each attempt from elsewhere, so that none meets the limit by address
		return visitor.do("POST", "/v1/auth/login", credentials{name, password}, fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", addresses))
	}
	var seen []string
	for _, name := range []string{"ada", "nobody", "no such name!"} {
		var line []string
		for range 2 {
			a := login(name, "a wrong password")
			line = append(line, fmt.Sprint(a.status, a.header["Ratelimit-Policy"], a.header["Ratelimit"]))
		}
		seen = append(seen, strings.Join(line, "\n"))
	}
	for i := range seen {
		if seen[i] != seen[0] {
			t.Errorf("a name can be told by its limit:\n%s\nand\n%s", seen[0], seen[i])
		}
	}
	login("ada", "a wrong password").wantLimited("rate_limited", "logins")
	login("ADA", ada.password).wantLimited("rate_limited", "logins") // the same name, and the right password

	// A login that succeeds counts, and gives nobody anything back.
	login("bob", "correct horse of bob").want(200)
	login("bob", "correct horse of bob").wantLimited("rate_limited", "logins")
	login("ada", ada.password).wantLimited("rate_limited", "logins")

	ada.do("GET", "/v1/me", nil).want(200) // who is in stays in
}

func TestLoginsAndSignupsAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.LimitLogins, cfg.LimitSignups = 1, 3 })
	visitor := p.visitor(t)
	forged := func(i int) string { return fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i) } // nobody's counts here
	for i := range 3 {
		a := visitor.do("POST", "/v1/auth/login", credentials{fmt.Sprint("name", i), "a wrong password"}, forged(i)).want(401)
		if left, _ := a.left("logins-address"); left != 2-i {
			t.Errorf("after %d logins RateLimit is %q", i+1, a.header.Get("RateLimit"))
		}
	}
	a := visitor.do("POST", "/v1/auth/login", credentials{"name4", "a wrong password"}, forged(4))
	a.wantLimited("rate_limited", "logins-address")
	if _, has := a.left("logins"); has {
		t.Errorf("an address at its limit took from an account's too: %s", a.header.Get("RateLimit"))
	}

	// What is no proper signup costs nothing, and does not count; a name that is taken does.
	for range 5 {
		visitor.do("POST", "/v1/auth/signup", credentials{"x", "short"}).want(400)
	}
	p.signup(t, "ada")
	p.signup(t, "bob")
	visitor.do("POST", "/v1/auth/signup", credentials{"ada", "correct horse"}, forged(1)).want(409)
	visitor.do("POST", "/v1/auth/signup", credentials{"carol", "correct horse"}, forged(2)).wantLimited("rate_limited", "signups")
}

// Behind a trusted proxy each client has its own limit; what a client makes up changes nothing.
func TestForwardedForCountsFromTrustedProxiesAlone(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) {
		cfg.LimitSignups = 1
		cfg.TrustedProxies = []string{"127.0.0.1", "10.0.0.0/8", "::1"}
	})
	n := 0
	signup := func(forwarded string) answer {
		n++
		return p.visitor(t).do("POST", "/v1/auth/signup", credentials{fmt.Sprint("user", n), "correct horse"}, "X-Forwarded-For: "+forwarded)
	}
	signup("203.0.113.1").want(201)
	signup("203.0.113.1").wantLimited("rate_limited", "signups")
	signup("198.51.100.77, 203.0.113.1").wantLimited("rate_limited", "signups")
	signup("198.51.100.78, 203.0.113.1, 10.1.2.3").wantLimited("rate_limited", "signups")
	signup("203.0.113.2").want(201)
	signup("2001:db8:0:1::1").want(201)
	signup("2001:db8:0:1:ffff::2").wantLimited("rate_limited", "signups") // the same line
	signup("2001:db8:0:2::1").want(201)
}

func TestStreamsAreLimitedByUser(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.LimitStreams = 2 })
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	over := []*stream{ada.open(overSSE, "room=lobby"), ada.open(overWS, "room=lobby")}
	for _, s := range over {
		s.opening()
	}
	refusal := ada.refused(overSSE, "room=lobby")
	refusal.wantLimited("too_many_streams", "streams")
	if got := refusal.header.Get("RateLimit-Policy"); got != `"streams";q=2;qu="concurrent-requests"` {
		t.Errorf("the policy is %s", got)
	}
	for range 3 { // those that are refused do not count
		last := ada.open(overWS, "room=lobby").assertClosed("too_many_streams", 4429)
		if last.RetryMS <= 0 {
			t.Errorf("come back after %d ms", last.RetryMS)
		}
	}
	other := bob.open(overSSE, "room=lobby")
	if open := other.opening(); len(open.Rooms) != 1 {
		t.Errorf("bob follows %v", open.Rooms)
	}
	ada.post("lobby", "still here") // the streams that are open are not disturbed
	for _, s := range over {
		s.untilMessage("still here")
	}
	over[0].close()
	for range 1000 { // the server may not have seen the end yet
		s, refusal, err := ada.dial(overSSE, how{query: "room=lobby"})
		if err != nil {
			t.Fatal(err)
		}
		if refusal == nil {
			s.opening()
			return
		}
		refusal.wantLimited("too_many_streams", "streams")
	}
	t.Error("a stream that ended made no room for another")
}

// However many streams a user opens at once, no more than allowed are ever open.
func TestStreamsThatOpenAtOnceAreCounted(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.LimitStreams = 3 })
	ada := p.signup(t, "ada")
	var opened atomic.Int32
	inParallel(24, func(i int) {
		s, refusal, err := ada.dial(pushing[i%len(pushing)], how{})
		switch {
		case err != nil:
			t.Error(err)
		case refusal != nil:
			if refusal.status != http.StatusTooManyRequests {
				t.Errorf("refused with %d", refusal.status)
			}
		default:
			if e, err := s.next(patience); err == nil && e.Type == "stream_open" {
				opened.Add(1)
			}
		}
	})
	if opened.Load() != 3 {
		t.Errorf("%d streams opened", opened.Load())
	}
}

func TestSettingsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Settings){
		"trusted-proxies": func(cfg *Settings) { cfg.TrustedProxies = []string{"10.0.0.0/8", "proxy.example"} },
		"limit":           func(cfg *Settings) { cfg.LimitStreams = -1 },
	} {
		cfg := Defaults()
		cfg.Addr, cfg.DataDir = "127.0.0.1:0", t.TempDir()
		change(&cfg)
		running, err := Start(t.Context(), cfg, readSpec(t), slog.New(slog.DiscardHandler))
		if err == nil {
			_ = running.Stop(t.Context())
			t.Errorf("%s: the program starts", name)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An access token is no way to guess the password behind it.
func TestPasswordConfirmationsAreLimitedByAccount(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.LimitLogins = 2 })
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	guess := func(c *client) answer {
		return c.do("PATCH", "/v1/me", map[string]string{"current_password": "a wrong guess", "password": "another horse"})
	}
	guess(ada).wantProblem(403, "wrong_password", "")
	guess(ada).wantProblem(403, "wrong_password", "")
	ada.do("DELETE", "/v1/me", map[string]string{"current_password": ada.password}).wantLimited("rate_limited", "logins")
	guess(bob).wantProblem(403, "wrong_password", "")
}

// A stream that begins with history is counted as a read, beside the streams' own limit: its answer tells of both.
func TestStreamWithHistoryTellsOfBothLimits(t *testing.T) {
	t.Parallel()
	limits := Defaults()
	p := startProgram(t, func(cfg *Settings) { cfg.LimitStreams, cfg.LimitReads = limits.LimitStreams, limits.LimitReads })
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	onEach(t, func(t *testing.T, over transport) {
		s := ada.in(t).open(over, "room=lobby&history=5")
		s.opening()
		policy, left := s.header.Get("RateLimit-Policy"), s.header.Get("RateLimit")
		if !strings.Contains(policy, `"streams"`) || !strings.Contains(policy, `"reads"`) || !strings.HasPrefix(left, `"reads";r=`) {
			t.Errorf("RateLimit-Policy is %q, and RateLimit %q", policy, left)
		}
		s.close()
	})
}
