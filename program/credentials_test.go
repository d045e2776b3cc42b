package program

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestForgedAndAlteredTokensAreRefused(t *testing.T) {
	t.Parallel()
	p := startProgram(t, withTestSecret)
	ada := p.signup(t, "ada")
	real := claimsOf(t, ada.AccessToken)
	parts := strings.Split(ada.AccessToken, ".")
	admin := claims{}.with("sub", "1").with("role", "admin")
	for name, value := range real {
		if admin[name] == nil {
			admin[name] = value
		}
	}
	tests := []struct{ name, token, code string }{
		{"no signature, alg none", real.sign("none", ""), "invalid_token"},
		{"alg None in capitals", real.sign("None", ""), "invalid_token"},
		{"HS384 under the right secret", real.sign("HS384", testSecret), "invalid_token"},
		{"HS512 under the right secret", real.sign("HS512", testSecret), "invalid_token"},
		{"no exp", real.with("exp", nil).sign("HS256", testSecret), "invalid_token"},
		{"no iss", real.with("iss", nil).sign("HS256", testSecret), "invalid_token"},
		{"no aud", real.with("aud", nil).sign("HS256", testSecret), "invalid_token"},
		{"no sub", real.with("sub", nil).sign("HS256", testSecret), "invalid_token"},
		{"another iss", real.with("iss", "elsewhere").sign("HS256", testSecret), "invalid_token"},
		{"another aud", real.with("aud", "elsewhere").sign("HS256", testSecret), "invalid_token"},
		{"a session that does not exist", real.with("sid", "nosuchsession").sign("HS256", testSecret), "invalid_token"},
		{"exp as text", real.with("exp", "tomorrow").sign("HS256", testSecret), "invalid_token"},
		{"expired beyond the leeway", real.expiring(-40*time.Second).sign("HS256", testSecret), "token_expired"},
		{"expired long ago", real.expiring(-24*time.Hour).sign("HS256", testSecret), "token_expired"},
		{"expired and forged", real.expiring(-time.Hour).sign("HS256", "a foreign secret of more than thirty-two bytes"), "invalid_token"},
		{"a foreign secret", real.sign("HS256", "a foreign secret of more than thirty-two bytes"), "invalid_token"},
		{"an empty secret", real.sign("HS256", ""), "invalid_token"},
		{"another payload under the same signature", parts[0] + "." + strings.Split(admin.sign("none", ""), ".")[1] + "." + parts[2], "invalid_token"},
		{"a signature cut short", ada.AccessToken[:len(ada.AccessToken)-3], "invalid_token"},
		{"two parts", parts[0] + "." + parts[1], "invalid_token"},
		{"four parts", ada.AccessToken + ".x", "invalid_token"},
		{"nonsense", "nonsense", "invalid_token"},
		{"a very long token", strings.Repeat("a", 5000), "invalid_token"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mallory := ada.in(t).withToken(test.token)
			mallory.do("GET", "/v1/me", nil).wantProblem(401, test.code, "")
			for _, over := range transports {
				mallory.refused(over, "").wantProblem(401, test.code, "")
			}
		})
	}
	t.Run("signed again as it was", func(t *testing.T) { // so that the refusals above are for what they say
		ada.in(t).withToken(real.expiring(time.Minute).sign("HS256", testSecret)).do("GET", "/v1/me", nil).want(200)
	})
}

func TestNoCredentialsAre401Everywhere(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	visitor := p.visitor(t)
	for _, call := range []struct{ method, target string }{
		{"GET", "/v1/me"}, {"POST", "/v1/auth/ticket"}, {"GET", "/v1/rooms"}, {"POST", "/v1/rooms"},
		{"GET", "/v1/rooms/lobby"}, {"PUT", "/v1/rooms/lobby"},
		{"GET", "/v1/rooms/lobby/messages"}, {"POST", "/v1/rooms/lobby/messages"}, {"GET", "/v1/events"},
	} {
		visitor.do(call.method, call.target, nil).want(401)
		visitor.do(call.method, call.target, nil, "Authorization: Basic YWRhOmFkYQ==").want(401)
		visitor.do(call.method, call.target, nil, "Authorization: Bearer").want(401)
	}
	for _, over := range transports {
		visitor.refused(over, "room=lobby").want(401)
	}
}

func TestTokensInURLsAreRefused(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for _, name := range []string{"access_token", "token", "jwt", "authorization"} {
		t.Run(name, func(t *testing.T) {
			ada, visitor := ada.in(t), p.visitor(t)
			visitor.do("GET", "/v1/me?"+name+"=of+any+kind", nil).wantProblem(400, "token_in_url", name)
			visitor.do("GET", "/v1/me?whatever="+ada.AccessToken, nil).wantProblem(400, "token_in_url", "whatever")
			query := name + "=" + ada.AccessToken // which the log must not show either
			for _, over := range transports {
				visitor.refused(over, query).wantProblem(400, "token_in_url", name)
				ada.refused(over, "room=lobby&"+query).wantProblem(400, "token_in_url", name)
			}
			visitor.do("GET", "/v1/me?"+query, nil).wantProblem(400, "token_in_url", name)
			ada.do("GET", "/v1/rooms?"+query, nil).wantProblem(400, "token_in_url", name)
			ada.do("POST", "/v1/rooms/lobby/messages?"+query, raw("hi")).wantProblem(400, "token_in_url", name)
		})
	}
	if got := ada.history("lobby", ""); len(got.items) != 0 {
		t.Errorf("a refused post is in the history: %s", show(got.items))
	}
}

func TestTicketOpensOneStream(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	onEach(t, func(t *testing.T, over transport) {
		ada, visitor := ada.in(t), p.visitor(t)
		var got struct {
			Ticket    string
			ExpiresIn int `json:"expires_in"`
		}
		ada.do("POST", "/v1/auth/ticket", nil).want(201).into(&got)
		if got.ExpiresIn != 30 {
			t.Errorf("a ticket lasts %d s, not 30", got.ExpiresIn)
		}
		visitor.do("GET", "/v1/me?ticket="+got.Ticket, nil).want(401) // good for streams alone
		if s := visitor.open(over, "ticket="+got.Ticket); s.opening().User != "ada" {
			t.Errorf("the ticket's stream is %s's", s.open.User)
		}
		visitor.refused(over, "ticket="+got.Ticket).want(401)
		visitor.refused(over, "ticket=nonsense").want(401)
	})
}

// A stream that was refused cost no ticket, and no cookie is set beside the refusal.
func TestRefusedStreamGivesItsTicketBack(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.LimitStreams = 1 })
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	onEach(t, func(t *testing.T, over transport) {
		ada, visitor := ada.in(t), p.visitor(t)
		eventually(t, "the streams before to end", func() bool {
			open := 0
			for _, n := range p.running.hub.Stats().Streams {
				open += n
			}
			return open == 0
		})
		var got struct{ Ticket string }
		ada.do("POST", "/v1/auth/ticket", nil).want(201).into(&got)
		mine := "room=lobby&ticket=" + got.Ticket
		if a := visitor.refused(over, "room=nowhere&ticket="+got.Ticket, "Origin: "+p.url).want(404); cookieOf(t, a.header) != nil {
			t.Error("the refusal sets the cookie")
		}
		visitor.refused(over, mine+"&history=x").want(400)
		full := ada.open(overSSE, "")
		full.opening()
		if over != overWS {
			visitor.refused(over, mine).wantProblem(429, "too_many_streams", "")
		} else {
			visitor.open(over, mine).wantClose("too_many_streams")
		}
		full.close()
		eventually(t, "the ticket opens a stream", func() bool {
			s, _, err := visitor.dial(over, how{query: mine})
			if err != nil || s == nil {
				return false
			}
			first, err := s.next(patience)
			s.close()
			return err == nil && first.Type == "stream_open"
		})
		visitor.refused(over, mine).wantProblem(401, "invalid_token", "ticket")
	})
}

// Two streams that present one ticket at the same moment must not both open.
func TestTicketIsSpentOnce(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, visitor := p.signup(t, "ada"), p.visitor(t)
	for range 5 {
		var got struct{ Ticket string }
		ada.do("POST", "/v1/auth/ticket", nil).want(201).into(&got)
		opened := make([]bool, 4)
		inParallel(len(opened), func(i int) {
			s, _, err := visitor.dial(pushing[i%len(pushing)], how{query: "ticket=" + got.Ticket})
			if err != nil {
				t.Error(err)
			}
			opened[i] = s != nil
		})
		n := 0
		for _, yes := range opened {
			if yes {
				n++
			}
		}
		if n != 1 {
			t.Fatalf("one ticket opened %d streams", n)
		}
	}
}

func TestTicketExpires(t *testing.T) {
	slow(t, "a ticket is valid for 30 s")
	p := startProgram(t)
	ada := p.signup(t, "ada")
	var got struct{ Ticket string }
	ada.do("POST", "/v1/auth/ticket", nil).want(201).into(&got)
	<-time.After(31 * time.Second)
	p.visitor(t).refused(overSSE, "ticket="+got.Ticket).want(401)
}

func TestShortSecretsAreRefusedAtStart(t *testing.T) {
	t.Parallel()
	cfg := Defaults()
	cfg.Addr, cfg.DataDir = "127.0.0.1:0", t.TempDir()
	cfg.JWTSecret = strings.Repeat("s", 31)
	logs := newLogBook(t)
	logs.keepSecret(cfg.JWTSecret)
	p, err := Start(context.Background(), cfg, readSpec(t), slog.New(slog.NewTextHandler(logs, nil)))
	if err == nil {
		_ = p.Stop(context.Background())
		t.Fatal("a secret of 31 bytes was accepted")
	}
	if strings.Contains(err.Error(), cfg.JWTSecret) {
		t.Error("the error shows the secret")
	}
	startProgram(t, func(cfg *Settings) { cfg.JWTSecret = strings.Repeat("s", 32) })
}

// Sessions outlast a restart, though no secret was given: it is made once and kept in the database.
func TestTokensOutlastARestart(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	p.stop(t)
	again := ada.on(p.again(t).testServer)
	again.do("GET", "/v1/me", nil).want(200)
	again.do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": ada.RefreshToken}).want(200)
}
