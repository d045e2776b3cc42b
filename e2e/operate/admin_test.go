package operate

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

// The command line runs beside a running server, which sees its changes within a second.
func TestCommandLineOnARunningServersData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := harness.StartBinary(t, dir, "TANDEM_SIGNUP=closed")
	run := func(stdin string, args ...string) (string, error) {
		cmd := exec.Command(harness.Binary(t), append(args, "--data-dir", dir)...)
		cmd.Env = append(harness.WithoutSettings(), "TANDEM_DATABASE_URL="+harness.DatabaseOf(t, dir))
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
	p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: "ada", Password: "correct horse"}).WantProblem(403, "signup_closed", "")
	must("correct horse\n", "user", "add", "Ada")
	fails("taken", "correct horse", "user", "add", "ada")
	fails("8 characters", "short", "user", "add", "bob")
	fails("characters", "correct horse", "user", "add", "b")
	fails("no password", "", "user", "add", "bob")

	ada := p.Visitor(t)
	ada.Password = "correct horse"
	login := func() *harness.Client {
		ada.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).Want(200).Into(&ada.Session)
		return ada.In(t)
	}
	first := login()
	first.Enter("ops")
	role := func(c *harness.Client) string {
		var me struct{ Role string }
		c.Do("GET", "/v1/me", nil).Want(200).Into(&me)
		return me.Role
	}
	must("", "user", "promote", "ada")
	harness.Eventually(t, "ada has the role admin", func() bool { return role(first) == "admin" })
	must("", "user", "promote", "ada", "--undo")
	harness.Eventually(t, "ada loses the role admin", func() bool { return role(first) == "user" })

	token := must("", "token", "create", "ada", "--name", "deploys", "--room", "ops")
	p.Logs.KeepSecret(token)
	bot := first.WithToken(token)
	bot.Post("ops", "deploy done")
	bot.Do("GET", "/v1/rooms/elsewhere", nil).WantProblem(404, "room_not_found", "")
	fails("elsewhere", "", "token", "create", "ada", "--name", "x", "--room", "elsewhere")
	fails("no user", "", "token", "create", "nobody", "--name", "x")
	fails("is not an admin", "", "token", "create", "ada", "--name", "shop", "--scope", "sessions")
	must("correct horse\n", "user", "add", "root", "--admin")
	fails("sessions", "", "token", "create", "root", "--name", "shop", "--scope", "everything")
	fails("cannot have rooms", "", "token", "create", "root", "--name", "shop", "--scope", "sessions", "--room", "ops")
	scoped := must("", "token", "create", "root", "--name", "shop", "--scope", "sessions")
	p.Logs.KeepSecret(scoped)
	shop := first.WithToken(scoped)
	shop.Do("GET", "/v1/me", nil).WantProblem(403, "token_scope", "")
	shop.SessionFor(map[string]any{"username": "carl", "create": true}).Want(201).As(p.Server).Do("GET", "/v1/me", nil).Want(200)

	stream := first.Open(harness.OverSSE, "")
	must("another horse\n", "user", "password", "ada")
	stream.WantClose("signed_out")
	harness.Eventually(t, "the session ends", first.Dead)
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "correct horse"}).WantProblem(401, "bad_credentials", "")
	ada.Password = "another horse"
	second := login()

	stream = second.Open(harness.OverWS, "")
	bots := bot.Open(harness.OverSSE, "room=ops")
	must("", "user", "disable", "ada")
	stream.WantClose("disabled")
	bots.WantClose("disabled")
	harness.Eventually(t, "both sessions end", func() bool { return second.Dead() && bot.Dead() })
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "another horse"}).WantProblem(401, "bad_credentials", "")
	fails("disabled", "", "token", "create", "ada", "--name", "x")
	must("", "user", "disable", "ada", "--undo")
	login()
}

func TestCommandsFailOnADataDirectoryWithoutData(t *testing.T) {
	t.Parallel()
	if harness.OnPostgres {
		t.Skip("the data is not in the data directory")
	}
	dir := filepath.Join(t.TempDir(), "typo")
	export := filepath.Join(t.TempDir(), "export.jsonl")
	if err := os.WriteFile(export, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		cmd := exec.Command(harness.Binary(t), append(args, "--data-dir", dir)...)
		cmd.Env, cmd.Stdin = harness.WithoutSettings(), strings.NewReader("correct horse\n")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{
		{"backup", filepath.Join(t.TempDir(), "copy.db")}, {"export"}, {"import", "tandem", export, "--dry-run"},
		{"user", "promote", "ada"}, {"user", "disable", "ada"}, {"user", "password", "ada"},
		{"token", "create", "ada", "--name", "x"},
	} {
		if out, err := run(args...); err == nil || !strings.Contains(out, "there is no tandem.db in "+dir) {
			t.Errorf("tandem %v: got %v, %q, want an error that there is no tandem.db in %s", args, err, out, dir)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("data directory after tandem %v: got error %v, want that it does not exist", args, err)
		}
	}
	for _, args := range [][]string{{"import", "tandem", export}, {"user", "add", "ada"}} { // before the first start
		if out, err := run(args...); err != nil {
			t.Errorf("tandem %v: got %v, %q, want success", args, err, out)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCommandsReportAnInvalidVariable(t *testing.T) {
	t.Parallel()
	const want = "tandem: error: --limit-posts: expected a valid 64 bit int but got \"abc\" (from envar TANDEM_LIMIT_POSTS=\"abc\")\n"
	got := harness.NewShell(t, "TANDEM_LIMIT_POSTS=abc").Run("user", "promote", "ada", "--data-dir", t.TempDir()).Want(1)
	if got.Out != "" || got.Errors != want {
		t.Errorf("user promote with TANDEM_LIMIT_POSTS=abc: got %q and the error %q, want only %q", got.Out, got.Errors, want)
	}
}
