package operate

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

func TestPasswordIsNotShown(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	v := harness.NewShell(t).Screen("login", p.URL)
	v.Shows("Username: ")
	v.Types("ada\n")
	v.Shows("Password: ")
	v.Types(ada.Password + "\n")
	if text := v.Shows("Logged in to " + p.URL + " as ada."); strings.Contains(text, ada.Password) {
		t.Errorf("the terminal shows the password: %q", text)
	}
	if code := v.Exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestTerminalColours(t *testing.T) {
	t.Parallel()
	_, ada, s := terminalTest(t)
	ada.Post("lobby", "\x1b]0;owned\x07\u009b31mhi\u202e")
	want := `: \x1b]0;owned\x07\x9b31mhi\u202e`
	if text := s.Screen("tail", "lobby").Shows(want); !strings.Contains(text, "\x1b[1;3") {
		t.Errorf("output without colours: %q", text)
	}
	plain := *s
	plain.Env = []string{"NO_COLOR=1"}
	for name, v := range map[string]*harness.Screen{"NO_COLOR": plain.Screen("tail", "lobby"), "JSON": s.Screen("tail", "lobby", "--json", "-n", "1")} {
		if name == "NO_COLOR" {
			if text := v.Shows(want); strings.Contains(text, "\x1b") {
				t.Errorf("%s: got %q on the screen, want no escape sequences", name, text)
			}
		} else if text := v.Shows(`\u001b]0;owned\u0007\u009b31mhi\u202e`); strings.ContainsAny(text, "\x1b\u009b\u202e") {
			t.Errorf("%s: got %q on the screen, want no control characters", name, text)
		}
	}
	if got := s.Screen("rooms").Shows("lobby"); !strings.Contains(got, "ROOM") {
		t.Errorf("room list without a heading: %q", got)
	}
}

func TestErrorsDoNotControlTheTerminal(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	server := startBadProxy(t, p.URL, faults{intercept: func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"code": "forbidden", "detail": "no\u001b[2J\u009b31m\nLogged in as ada."}`)
		return true
	}})
	s := harness.NewShell(t, "TANDEM_SERVER="+server.URL, "TANDEM_TOKEN=x")
	for _, run := range []struct {
		args []string
		want string
	}{
		{[]string{"post", "lobby", "x"}, `no\x1b[2J\x9b31m\x0aLogged in as ada.`},
		{[]string{"tail", "lobby"}, `no\x1b[2J\x9b31m\x0aLogged in as ada.`},
		{[]string{"export", "--data-dir", filepath.Join(t.TempDir(), "no-\x1b[2J")}, `no-\x1b[2J`},
	} {
		got := s.Run(run.args...)
		if got.Code == 0 || !strings.Contains(got.Errors, run.want) || strings.ContainsAny(got.Errors, "\x1b\u009b") {
			t.Errorf("%q: got exit code %d and %q, want an error with %q", run.args, got.Code, got.Errors, run.want)
		}
	}
}

// completions returns the words that each shell offers after each line.
var completions = map[string][]string{
	"tandem po":                          {"post"},
	"tandem post ":                       {"lobby", "garden"},
	"tandem post gar":                    {"garden"},
	"tandem private ":                    {"bob"},
	"tandem tail lobby --transport sse-": {"sse-post"},
	"tandem tail lobby --pres":           {"--presence"},
	"tandem user ":                       {"add", "promote", "disable", "password"},
	"tandem --metrics-a":                 {"--metrics-addr"},
}

func TestShellCompletion(t *testing.T) {
	t.Parallel()
	p, ada, s := terminalTest(t)
	ada.Enter("garden")
	p.Signup(t, "bob").Send("ada", "psst")
	script := map[string]string{}
	for _, sh := range []string{"bash", "zsh", "fish"} {
		script[sh] = filepath.Join(t.TempDir(), "completion."+sh)
		if err := os.WriteFile(script[sh], []byte(s.Run("completion", sh).Want(0).Out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(t *testing.T, sh string, args ...string) string {
		t.Helper()
		cmd := exec.Command(sh, args...)
		cmd.Env = append(s.Command().Env, "PATH="+filepath.Dir(harness.Binary(t))+":"+os.Getenv("PATH"), "HOME="+t.TempDir(), "SCRIPT="+script[sh])
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", sh, err, out)
		}
		return string(out)
	}
	for line, want := range completions {
		t.Run("bash "+line, func(t *testing.T) {
			t.Parallel()
			wantWords(t, run(t, "bash", "-c", `source "$SCRIPT"; COMP_LINE=$1 COMP_POINT=${#1}; _tandem; printf '%s\n' "${COMPREPLY[@]}"`, "bash", line), want)
		})
		t.Run("fish "+line, func(t *testing.T) {
			t.Parallel()
			wantWords(t, run(t, "fish", "--no-config", "-c", fmt.Sprintf(`source $SCRIPT; complete -C '%s'`, line)), want)
		})
		t.Run("zsh "+line, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("zsh", "-f", "-i")
			cmd.Env = append(s.Command().Env, "PATH="+filepath.Dir(harness.Binary(t))+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
			v := harness.OnScreen(t, cmd)
			v.Types("PS1='ready> '; autoload -U compinit && compinit -u -D; source " + script["zsh"] + "; setopt auto_list; echo set up\n")
			v.Shows("\nset up", "ready> ")
			v.Types(line + "\t")
			if len(want) > 1 {
				v.Types("\t") // lists them
			}
			for _, w := range want {
				v.Shows(w)
			}
			if len(want) == 1 {
				v.Shows(line[:strings.LastIndexByte(line, ' ')+1] + want[0])
			}
		})
	}
	t.Run("bash after @ and :", func(t *testing.T) {
		t.Parallel()
		prefix := p.URL[:len(p.URL)-2]
		got := run(t, "bash", "-c", `source "$SCRIPT"; COMP_LINE=$1 COMP_POINT=${#1}; _tandem; printf '%s\n' "${COMPREPLY[@]}"`, "bash", "tandem logout "+prefix)
		wantWords(t, got, []string{p.URL[strings.LastIndexByte(p.URL, ':')+1:]}) // Readline has inserted the rest already
	})
}

// wantWords compares the first word of each line.
func wantWords(t *testing.T, out string, want []string) {
	t.Helper()
	got := map[string]bool{}
	for line := range strings.Lines(out) {
		word, _, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		got[word] = true
	}
	for _, w := range want {
		if !got[w] || len(got) != len(want) {
			t.Errorf("%q is proposed, want %q", out, want)
			return
		}
	}
}
