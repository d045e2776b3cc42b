package accounts

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestForgedAndAlteredTokensAreRefused(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithSecret)
	ada := p.Signup(t, "ada")
	real := harness.ClaimsOf(t, ada.AccessToken)
	parts := strings.Split(ada.AccessToken, ".")
	admin := harness.Claims{}.With("sub", "1").With("role", "admin")
	for name, value := range real {
		if admin[name] == nil {
			admin[name] = value
		}
	}
	tests := []struct{ name, token, code string }{
		{"no signature, alg none", real.Sign("none", ""), "invalid_token"},
		{"alg None in capitals", real.Sign("None", ""), "invalid_token"},
		{"HS384 under the right secret", real.Sign("HS384", harness.Secret), "invalid_token"},
		{"HS512 under the right secret", real.Sign("HS512", harness.Secret), "invalid_token"},
		{"no exp", real.With("exp", nil).Sign("HS256", harness.Secret), "invalid_token"},
		{"no iss", real.With("iss", nil).Sign("HS256", harness.Secret), "invalid_token"},
		{"no aud", real.With("aud", nil).Sign("HS256", harness.Secret), "invalid_token"},
		{"no sub", real.With("sub", nil).Sign("HS256", harness.Secret), "invalid_token"},
		{"another iss", real.With("iss", "elsewhere").Sign("HS256", harness.Secret), "invalid_token"},
		{"another aud", real.With("aud", "elsewhere").Sign("HS256", harness.Secret), "invalid_token"},
		{"a session that does not exist", real.With("sid", "nosuchsession").Sign("HS256", harness.Secret), "invalid_token"},
		{"exp as text", real.With("exp", "tomorrow").Sign("HS256", harness.Secret), "invalid_token"},
		{"expired beyond the leeway", real.Expiring(-40*time.Second).Sign("HS256", harness.Secret), "token_expired"},
		{"expired long ago", real.Expiring(-24*time.Hour).Sign("HS256", harness.Secret), "token_expired"},
		{"expired and forged", real.Expiring(-time.Hour).Sign("HS256", "a foreign secret of more than thirty-two bytes"), "invalid_token"},
		{"a foreign secret", real.Sign("HS256", "a foreign secret of more than thirty-two bytes"), "invalid_token"},
		{"an empty secret", real.Sign("HS256", ""), "invalid_token"},
		{"another payload under the same signature", parts[0] + "." + strings.Split(admin.Sign("none", ""), ".")[1] + "." + parts[2], "invalid_token"},
		{"a signature cut short", ada.AccessToken[:len(ada.AccessToken)-3], "invalid_token"},
		{"two parts", parts[0] + "." + parts[1], "invalid_token"},
		{"four parts", ada.AccessToken + ".x", "invalid_token"},
		{"nonsense", "nonsense", "invalid_token"},
		{"a very long token", strings.Repeat("a", 5000), "invalid_token"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mallory := ada.In(t).WithToken(test.token)
			mallory.Do("GET", "/v1/me", nil).WantProblem(401, test.code, "")
			for _, over := range harness.Transports {
				mallory.Refused(over, "").WantProblem(401, test.code, "")
			}
		})
	}
	t.Run("signed again as it was", func(t *testing.T) { // proves that the refusals above have the stated reason
		ada.In(t).WithToken(real.Expiring(time.Minute).Sign("HS256", harness.Secret)).Do("GET", "/v1/me", nil).Want(200)
	})
}

func TestNoCredentialsAre401Everywhere(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	visitor := p.Visitor(t)
	for _, call := range []struct{ method, target string }{
		{"GET", "/v1/me"}, {"POST", "/v1/auth/ticket"}, {"GET", "/v1/rooms"}, {"POST", "/v1/rooms"},
		{"GET", "/v1/rooms/lobby"}, {"PUT", "/v1/rooms/lobby"},
		{"GET", "/v1/rooms/lobby/messages"}, {"POST", "/v1/rooms/lobby/messages"}, {"GET", "/v1/events"},
	} {
		visitor.Do(call.method, call.target, nil).Want(401)
		visitor.Do(call.method, call.target, nil, "Authorization: Basic YWRhOmFkYQ==").Want(401)
		visitor.Do(call.method, call.target, nil, "Authorization: Bearer").Want(401)
	}
	for _, over := range harness.Transports {
		visitor.Refused(over, "room=lobby").Want(401)
	}
}

func TestTokensInURLsAreRefused(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, name := range []string{"access_token", "token", "jwt", "authorization"} {
		t.Run(name, func(t *testing.T) {
			ada, visitor := ada.In(t), p.Visitor(t)
			visitor.Do("GET", "/v1/me?"+name+"=of+any+kind", nil).WantProblem(400, "token_in_url", name)
			visitor.Do("GET", "/v1/me?whatever="+ada.AccessToken, nil).WantProblem(400, "token_in_url", "whatever")
			query := name + "=" + ada.AccessToken // the log must not show it either
			for _, over := range harness.Transports {
				visitor.Refused(over, query).WantProblem(400, "token_in_url", name)
				ada.Refused(over, "room=lobby&"+query).WantProblem(400, "token_in_url", name)
			}
			visitor.Do("GET", "/v1/me?"+query, nil).WantProblem(400, "token_in_url", name)
			ada.Do("GET", "/v1/rooms?"+query, nil).WantProblem(400, "token_in_url", name)
			ada.Do("POST", "/v1/rooms/lobby/messages?"+query, harness.Raw("hi")).WantProblem(400, "token_in_url", name)
		})
	}
	if got := ada.History("lobby", ""); len(got.Items) != 0 {
		t.Errorf("a refused post is in the history: %s, want none", harness.Show(got.Items))
	}
}

func TestTicketOpensOneStream(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, visitor := ada.In(t), p.Visitor(t)
		var got struct {
			Ticket    string
			ExpiresIn int `json:"expires_in"`
		}
		ada.Do("POST", "/v1/auth/ticket", nil).Want(201).Into(&got)
		if got.ExpiresIn != 30 {
			t.Errorf("a ticket lasts %d s, want 30", got.ExpiresIn)
		}
		visitor.Do("GET", "/v1/me?ticket="+got.Ticket, nil).Want(401) // only good for streams
		if s := visitor.Open(over, "ticket="+got.Ticket); s.Opening().User != "ada" {
			t.Errorf("user of the ticket's stream = %s", s.Open.User)
		}
		visitor.Refused(over, "ticket="+got.Ticket).Want(401)
		visitor.Refused(over, "ticket=nonsense").Want(401)
	})
}

// A refused stream does not spend the ticket, and the refusal sets no cookie.
func TestRefusedStreamGivesItsTicketBack(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitStreams = 1 })
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, visitor := ada.In(t), p.Visitor(t)
		harness.Eventually(t, "the previous streams end", func() bool {
			open := 0
			for _, n := range p.Running.Stats().Streams {
				open += n
			}
			return open == 0
		})
		var got struct{ Ticket string }
		ada.Do("POST", "/v1/auth/ticket", nil).Want(201).Into(&got)
		mine := "room=lobby&ticket=" + got.Ticket
		if a := visitor.Refused(over, "room=nowhere&ticket="+got.Ticket, "Origin: "+p.URL).Want(404); harness.CookieOf(t, a.Header) != nil {
			t.Error("a refused login set the cookie")
		}
		visitor.Refused(over, mine+"&history=x").Want(400)
		full := ada.Open(harness.OverSSE, "")
		full.Opening()
		if over != harness.OverWS {
			visitor.Refused(over, mine).WantProblem(429, "too_many_streams", "")
		} else {
			visitor.Open(over, mine).WantClose("too_many_streams")
		}
		full.Close()
		harness.Eventually(t, "the ticket opens a stream", func() bool {
			s, _, err := visitor.Dial(over, harness.Dialing{Query: mine})
			if err != nil || s == nil {
				return false
			}
			first, err := s.Next(harness.Patience)
			s.Close()
			return err == nil && first.Type == "stream_open"
		})
		visitor.Refused(over, mine).WantProblem(401, "invalid_token", "ticket")
	})
}

// Of two streams that present one ticket at the same moment, only one may open.
func TestTicketIsSpentOnce(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, visitor := p.Signup(t, "ada"), p.Visitor(t)
	for range 5 {
		var got struct{ Ticket string }
		ada.Do("POST", "/v1/auth/ticket", nil).Want(201).Into(&got)
		opened := make([]bool, 4)
		harness.InParallel(len(opened), func(i int) {
			s, _, err := visitor.Dial(harness.Pushing[i%len(harness.Pushing)], harness.Dialing{Query: "ticket=" + got.Ticket})
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
	harness.Slow(t, "a ticket is valid for 30 s")
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	var got struct{ Ticket string }
	ada.Do("POST", "/v1/auth/ticket", nil).Want(201).Into(&got)
	<-time.After(31 * time.Second)
	p.Visitor(t).Refused(harness.OverSSE, "ticket="+got.Ticket).Want(401)
}

func TestShortSecretsAreRefusedAtStart(t *testing.T) {
	t.Parallel()
	cfg := harness.Defaults()
	cfg.Addr, cfg.DataDir = "127.0.0.1:0", t.TempDir()
	cfg.JWTSecret = strings.Repeat("s", 31)
	logs := harness.NewLogBook(t)
	logs.KeepSecret(cfg.JWTSecret)
	p, err := program.Start(context.Background(), cfg, harness.ReadSpec(t), slog.New(slog.NewTextHandler(logs, nil)))
	if err == nil {
		_ = p.Stop(context.Background())
		t.Fatal("a secret of 31 bytes was accepted")
	}
	if strings.Contains(err.Error(), cfg.JWTSecret) {
		t.Error("the error contains the secret")
	}
	harness.StartProgram(t, func(cfg *program.Settings) { cfg.JWTSecret = strings.Repeat("s", 32) })
}

// Sessions survive a restart without a configured secret: a generated one is kept in the database.
func TestTokensOutlastARestart(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	p.Stop(t)
	again := ada.On(p.Again(t).Server)
	again.Do("GET", "/v1/me", nil).Want(200)
	again.Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": ada.RefreshToken}).Want(200)
}
