package streams

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestPostsAreLimitedByUser(t *testing.T) {
	t.Parallel()
	clock := harness.NewClock()
	p := harness.StartProgram(t, clock.Limits, func(cfg *program.Settings) { cfg.LimitPosts = 1 })
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	lobby := harness.RoomPath("lobby") + "/messages"

	first := ada.Do("POST", lobby, harness.Raw("1"), "Idempotency-Key: first").Want(201)
	if got := first.Header.Get("RateLimit-Policy"); got != `"posts";q=2;w=2` {
		t.Errorf("policy = %s", got)
	}
	if left, has := first.Left("posts"); !has || left != 1 {
		t.Errorf("RateLimit after the first of two = %q", first.Header.Get("RateLimit"))
	}

	// Retries, invalid JSON and bodies that are too long count against the same limit.
	for kind, send := range map[string]func() harness.Answer{
		"retry": func() harness.Answer { return ada.Do("POST", lobby, harness.Raw("1"), "Idempotency-Key: first") },
		"invalid JSON": func() harness.Answer {
			return ada.Do("POST", lobby, harness.Raw("{"), "Content-Type: application/json")
		},
		"long body": func() harness.Answer { return ada.Do("POST", lobby, harness.Raw(strings.Repeat("x", 70_000))) },
	} {
		clock.Advance(2 * time.Second)
		for i := range 2 {
			if left, has := send().Left("posts"); !has || left != 1-i {
				t.Errorf("%s: left = %d, want %d", kind, left, 1-i)
			}
		}
		send().WantLimited("rate_limited", "posts")
	}

	// Another user has a separate limit.
	bob.Do("POST", lobby, harness.Raw("bob's")).Want(201)

	// A refused post is not stored, and its key is still free: another body with it is not a mismatch.
	try := func(text string) harness.Answer {
		return ada.Do("POST", lobby, harness.Raw(text), "Idempotency-Key: try")
	}
	try("refused").WantLimited("rate_limited", "posts")
	clock.Advance(999 * time.Millisecond)
	try("refused").WantLimited("rate_limited", "posts")
	clock.Advance(time.Millisecond)
	try("in the end").Want(201)
	posted := []string{"1", "bob's", "in the end"}
	for i, e := range ada.WholeHistory("lobby") {
		if i >= len(posted) || e.Message != posted[i] {
			t.Errorf("message %d = %s; posted %q", i, e.Raw, posted)
		}
	}

	// Requests that are not posts do not count.
	ada.Do("GET", "/v1/me", nil).Want(200)
	// A caller without a token uses up nobody's limit, and learns nothing about it.
	if a := p.Visitor(t).Do("POST", lobby, harness.Raw("hi")).Want(401); a.Header.Get("RateLimit") != "" {
		t.Errorf("RateLimit of an unauthenticated request = %q, want none", a.Header.Get("RateLimit"))
	}
}

// The account limit is the same for names that exist, do not exist and cannot exist. Each attempt counts, however it
// ends, and each name has a separate limit.
func TestLoginsAreLimitedByAccount(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) {
		cfg.LimitLogins = 1 // so the next is allowed after a minute, however slow the machine is
		cfg.TrustedProxies = []string{"127.0.0.0/8", "::1"}
	})
	ada := p.Signup(t, "ada")
	p.Signup(t, "bob")
	visitor := p.Visitor(t)
	addresses := 0
	login := func(name, password string) harness.Answer {
		addresses++ // each attempt from another address, so that the limit per address is not reached
		return visitor.Do("POST", "/v1/auth/login", harness.Credentials{Username: name, Password: password}, fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", addresses))
	}
	var seen []string
	for _, name := range []string{"ada", "nobody", "no such name!"} {
		var line []string
		for range 2 {
			a := login(name, "a wrong password")
			line = append(line, fmt.Sprint(a.Status, a.Header["Ratelimit-Policy"], a.Header["Ratelimit"]))
		}
		seen = append(seen, strings.Join(line, "\n"))
	}
	for i := range seen {
		if seen[i] != seen[0] {
			t.Errorf("the limit reveals whether a name exists:\n%s\nand\n%s", seen[0], seen[i])
		}
	}
	login("ada", "a wrong password").WantLimited("rate_limited", "logins")
	login("ADA", ada.Password).WantLimited("rate_limited", "logins") // the same name with the right password

	// A successful login counts too, and does not reset the limit.
	login("bob", "correct horse of bob").Want(200)
	login("bob", "correct horse of bob").WantLimited("rate_limited", "logins")
	login("ada", ada.Password).WantLimited("rate_limited", "logins")

	ada.Do("GET", "/v1/me", nil).Want(200) // existing sessions continue
}

func TestLoginsAndSignupsAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitLogins, cfg.LimitSignups = 1, 3 })
	visitor := p.Visitor(t)
	forged := func(i int) string { return fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i) } // counts against nobody here
	for i := range 3 {
		a := visitor.Do("POST", "/v1/auth/login", harness.Credentials{Username: fmt.Sprint("name", i), Password: "a wrong password"}, forged(i)).Want(401)
		if left, _ := a.Left("logins-address"); left != 2-i {
			t.Errorf("RateLimit after %d logins = %q", i+1, a.Header.Get("RateLimit"))
		}
	}
	a := visitor.Do("POST", "/v1/auth/login", harness.Credentials{Username: "name4", Password: "a wrong password"}, forged(4))
	a.WantLimited("rate_limited", "logins-address")
	if _, has := a.Left("logins"); has {
		t.Errorf("a login refused by the address limit also counted for the account: %s", a.Header.Get("RateLimit"))
	}

	// An invalid signup costs nothing and does not count; one with a taken name does.
	for range 5 {
		visitor.Do("POST", "/v1/auth/signup", harness.Credentials{Username: "x", Password: "short"}).Want(400)
	}
	p.Signup(t, "ada")
	p.Signup(t, "bob")
	visitor.Do("POST", "/v1/auth/signup", harness.Credentials{Username: "ada", Password: "correct horse"}, forged(1)).Want(409)
	visitor.Do("POST", "/v1/auth/signup", harness.Credentials{Username: "carol", Password: "correct horse"}, forged(2)).WantLimited("rate_limited", "signups")
}

// Behind a trusted proxy each client has a separate limit. An address that a client makes up changes nothing.
func TestForwardedForIsTrustedOnlyFromProxies(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) {
		cfg.LimitSignups = 1
		cfg.TrustedProxies = []string{"127.0.0.1", "10.0.0.0/8", "::1"}
	})
	n := 0
	signup := func(forwarded string) harness.Answer {
		n++
		return p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: fmt.Sprint("user", n), Password: "correct horse"}, "X-Forwarded-For: "+forwarded)
	}
	signup("203.0.113.1").Want(201)
	signup("203.0.113.1").WantLimited("rate_limited", "signups")
	signup("198.51.100.77, 203.0.113.1").WantLimited("rate_limited", "signups")
	signup("198.51.100.78, 203.0.113.1, 10.1.2.3").WantLimited("rate_limited", "signups")
	signup("203.0.113.2").Want(201)
	signup("2001:db8:0:1::1").Want(201)
	signup("2001:db8:0:1:ffff::2").WantLimited("rate_limited", "signups") // the same header line
	signup("2001:db8:0:2::1").Want(201)
}

func TestStreamsAreLimitedByUser(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitStreams = 2 })
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	over := []*harness.Stream{ada.Open(harness.OverSSE, "room=lobby"), ada.Open(harness.OverWS, "room=lobby")}
	for _, s := range over {
		s.Opening()
	}
	refusal := ada.Refused(harness.OverSSE, "room=lobby")
	refusal.WantLimited("too_many_streams", "streams")
	if got := refusal.Header.Get("RateLimit-Policy"); got != `"streams";q=2;qu="concurrent-requests"` {
		t.Errorf("policy = %s", got)
	}
	for range 3 { // refused streams do not count
		last := ada.Open(harness.OverWS, "room=lobby").AssertClosed("too_many_streams", 4429)
		if last.RetryMS <= 0 {
			t.Errorf("retry delay = %d ms", last.RetryMS)
		}
	}
	other := bob.Open(harness.OverSSE, "room=lobby")
	if open := other.Opening(); len(open.Rooms) != 1 {
		t.Errorf("bob's rooms = %v", open.Rooms)
	}
	ada.Post("lobby", "still here") // open streams are not affected
	for _, s := range over {
		s.UntilMessage("still here")
	}
	over[0].Close()
	for range 1000 { // the server may not have noticed the end yet
		s, refusal, err := ada.Dial(harness.OverSSE, harness.Dialing{Query: "room=lobby"})
		if err != nil {
			t.Fatal(err)
		}
		if refusal == nil {
			s.Opening()
			return
		}
		refusal.WantLimited("too_many_streams", "streams")
	}
	t.Error("no stream could be opened after another ended")
}

// However many streams a user opens at once, no more than allowed are open.
func TestConcurrentlyOpenedStreamsAreCounted(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitStreams = 3 })
	ada := p.Signup(t, "ada")
	var opened atomic.Int32
	harness.InParallel(24, func(i int) {
		s, refusal, err := ada.Dial(harness.Pushing[i%len(harness.Pushing)], harness.Dialing{})
		switch {
		case err != nil:
			t.Error(err)
		case refusal != nil:
			if refusal.Status != http.StatusTooManyRequests {
				t.Errorf("refusal status = %d, want 429", refusal.Status)
			}
		default:
			if e, err := s.Next(harness.Patience); err == nil && e.Type == "stream_open" {
				opened.Add(1)
			}
		}
	})
	if opened.Load() != 3 {
		t.Errorf("%d streams opened, want 3", opened.Load())
	}
}

func TestInvalidSettingsAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*program.Settings){
		"trusted-proxies": func(cfg *program.Settings) { cfg.TrustedProxies = []string{"10.0.0.0/8", "proxy.example"} },
		"limit":           func(cfg *program.Settings) { cfg.LimitStreams = -1 },
	} {
		cfg := harness.Defaults()
		cfg.Addr, cfg.DataDir = "127.0.0.1:0", t.TempDir()
		change(&cfg)
		running, err := program.Start(t.Context(), cfg, harness.ReadSpec(t), slog.New(slog.DiscardHandler))
		if err == nil {
			_ = running.Stop(t.Context())
			t.Errorf("%s: the program started, want an error", name)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An access token does not help to guess the password.
func TestPasswordConfirmationsAreLimitedByAccount(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitLogins = 2 })
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	guess := func(c *harness.Client) harness.Answer {
		return c.Do("PATCH", "/v1/me", map[string]string{"current_password": "a wrong guess", "password": "another horse"})
	}
	guess(ada).WantProblem(403, "wrong_password", "")
	guess(ada).WantProblem(403, "wrong_password", "")
	ada.Do("DELETE", "/v1/me", map[string]string{"current_password": ada.Password}).WantLimited("rate_limited", "logins")
	guess(bob).WantProblem(403, "wrong_password", "")
}

// A stream that starts with history counts as a read too. Its answer names both limits.
func TestStreamWithHistoryReportsBothLimits(t *testing.T) {
	t.Parallel()
	limits := harness.Defaults()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitStreams, cfg.LimitReads = limits.LimitStreams, limits.LimitReads })
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		s := ada.In(t).Open(over, "room=lobby&history=5")
		s.Opening()
		policy, left := s.Header.Get("RateLimit-Policy"), s.Header.Get("RateLimit")
		if !strings.Contains(policy, `"streams"`) || !strings.Contains(policy, `"reads"`) || !strings.HasPrefix(left, `"reads";r=`) {
			t.Errorf("RateLimit-Policy = %q, RateLimit = %q", policy, left)
		}
		s.Close()
	})
}
