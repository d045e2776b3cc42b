package program

import (
	"os/exec"
	"strings"
	"testing"
)

// The command line beside a running server: what it does counts there within a second.
func TestCommandLineOnARunningServersData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startBinary(t, dir, "TANDEM_SIGNUP=closed")
	run := func(stdin string, args ...string) (string, error) {
		cmd := exec.Command(binary(t), append(args, "--data-dir", dir)...)
		cmd.Env = append(withoutSettings(), "TANDEM_DATABASE_URL="+databaseOf(t, dir))
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	must := func(stdin string, args ...string) string {
		t.Helper()
		out, err := run(stdin, args...)
		if err != nil {
			t.Fatalf("tandem %v: %v\n%s", args, err, out)
		}
		return out
	}
	fails := func(want, stdin string, args ...string) {
		t.Helper()
		if out, err := run(stdin, args...); err == nil || !strings.Contains(out, want) {
			t.Errorf("tandem %v: %v\n%s\nwant %q", args, err, out, want)
		}
	}
	p.visitor(t).do("POST", "/v1/auth/signup", credentials{"ada", "correct horse"}).wantProblem(403, "signup_closed", "")
	must("correct horse\n", "user", "add", "Ada")
	fails("taken", "correct horse", "user", "add", "ada")
	fails("8 characters", "short", "user", "add", "bob")
	fails("characters", "correct horse", "user", "add", "b")
	fails("no password", "", "user", "add", "bob")

	ada := p.visitor(t)
	ada.password = "correct horse"
	login := func() *client {
		ada.do("POST", "/v1/auth/login", credentials{"ada", ada.password}).want(200).into(&ada.session)
		return ada.in(t)
	}
	first := login()
	first.enter("ops")
	role := func(c *client) string {
		var me struct{ Role string }
		c.do("GET", "/v1/me", nil).want(200).into(&me)
		return me.Role
	}
	must("", "user", "promote", "ada")
	eventually(t, "the role", func() bool { return role(first) == "admin" })
	must("", "user", "promote", "ada", "--undo")
	eventually(t, "the role's end", func() bool { return role(first) == "user" })

	token := must("", "token", "create", "ada", "--name", "deploys", "--room", "ops")
	p.logs.keepSecret(token)
	bot := first.withToken(token)
	bot.post("ops", "deploy done")
	bot.do("GET", "/v1/rooms/elsewhere", nil).wantProblem(404, "room_not_found", "")
	fails("elsewhere", "", "token", "create", "ada", "--name", "x", "--room", "elsewhere")
	fails("no user", "", "token", "create", "nobody", "--name", "x")

	stream := first.open(overSSE, "")
	must("another horse\n", "user", "password", "ada")
	stream.wantClose("signed_out")
	eventually(t, "the session's end", first.dead)
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"ada", "correct horse"}).wantProblem(401, "bad_credentials", "")
	ada.password = "another horse"
	second := login()

	stream = second.open(overWS, "")
	bots := bot.open(overSSE, "room=ops")
	must("", "user", "disable", "ada")
	stream.wantClose("disabled")
	bots.wantClose("disabled")
	eventually(t, "the sessions' end", func() bool { return second.dead() && bot.dead() })
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"ada", "another horse"}).wantProblem(401, "bad_credentials", "")
	fails("disabled", "", "token", "create", "ada", "--name", "x")
	must("", "user", "disable", "ada", "--undo")
	login()
}
