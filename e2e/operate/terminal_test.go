package operate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

// terminalTest is a program, ada who owns the lobby, and her shell.
func terminalTest(t *testing.T, change ...func(*program.Settings)) (*harness.Program, *harness.Client, *harness.Shell) {
	t.Helper()
	p := harness.StartProgram(t, change...)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	return p, ada, ada.LoggedIn(p.URL)
}

func TestLoginFileIsOnlyForItsUser(t *testing.T) {
	t.Parallel()
	p, ada, s := terminalTest(t)
	path := filepath.Join(s.Config, "logins.json")
	for _, file := range []string{path, path + ".lock"} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s: got %v, %v, want 0600", file, info.Mode(), err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), ada.Password) {
		t.Errorf("the credentials file contains the password (error %v)", err)
	}
	if got := s.Run("servers").Want(0).Out; got != p.URL+"\tada\tdefault\n" {
		t.Errorf("servers = %q", got)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.Run("rooms").Want(1); !strings.Contains(got.Errors, "chmod 600") {
		t.Errorf("credentials file readable by others: error = %s, want chmod 600", got.Errors)
	}
}

func TestOneUserHasLoginsAtSeveralServers(t *testing.T) {
	t.Parallel()
	one, _, s := terminalTest(t)
	other := harness.StartProgram(t)
	bob := other.Signup(t, "bob")
	bob.Enter("garden")
	s.Pipe(bob.Password+"\n", "login", other.URL+"/", "-u", "bob").Want(0)
	if got := s.Run("servers").Want(0).Out; got != other.URL+"\tbob\tdefault\n"+one.URL+"\tada\n" {
		t.Errorf("servers = %q", got)
	}
	if got := s.Run("rooms").Want(0).Out; !strings.HasPrefix(got, "garden\t") {
		t.Errorf("rooms = %q", got)
	}
	if got := s.Run("rooms", "--server", one.URL).Want(0).Out; !strings.HasPrefix(got, "lobby\t") {
		t.Errorf("rooms = %q", got)
	}
	s.Run("logout").Want(0)
	if got := s.Run("servers").Want(0).Out; got != one.URL+"\tada\tdefault\n" {
		t.Errorf("servers after a logout = %q", got)
	}
	s.Run("rooms", "--server", other.URL).Want(3)
}

func TestLogoutEndsTheSession(t *testing.T) {
	t.Parallel()
	p, _, s := terminalTest(t)
	text, err := os.ReadFile(filepath.Join(s.Config, "logins.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kept []struct{ Token string }
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	p.Bearer(t, kept[0].Token).Do("GET", "/v1/me", nil).Want(200)
	s.Run("logout").Want(0)
	p.Bearer(t, kept[0].Token).Do("GET", "/v1/me", nil).WantProblem(401, "invalid_token", "")
	s.Run("logout").Want(3)
}

func TestScriptsUseAnAPIToken(t *testing.T) {
	t.Parallel()
	p, ada, _ := terminalTest(t)
	var made struct{ Token string }
	ada.Do("POST", "/v1/tokens", harness.Fields{"name": "script", "rooms": []string{"lobby"}}).Want(201).Into(&made)
	s := harness.NewShell(t)
	s.Pipe(made.Token+"\n", "login", p.URL, "--token").Want(0)
	s.Run("post", "lobby", "by a login").Want(0)
	env := harness.NewShell(t, "TANDEM_SERVER="+p.URL, "TANDEM_TOKEN="+made.Token)
	env.Run("post", "lobby", "by the environment").Want(0)
	env.Run("post", "elsewhere", "x").Want(2)
	if got := ada.WholeHistory("lobby"); len(got) != 2 || got[1].Message != "by the environment" {
		t.Errorf("messages in the lobby = %s", harness.Show(got))
	}
	s.Pipe("nonsense\n", "login", p.URL, "--token").Want(3)
}

func TestPostTakesArgumentsInputAndFiles(t *testing.T) {
	t.Parallel()
	_, ada, s := terminalTest(t)
	path := filepath.Join(t.TempDir(), "report.txt")
	if err := os.WriteFile(path, []byte("all is well\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Run("post", "lobby", "deploy", "done").Want(0)
	s.Pipe("two\nlines\n", "post", "lobby").Want(0)
	s.Pipe("a dash\n", "post", "lobby", "-").Want(0)
	s.Pipe("one\n\ntwo\n", "post", "lobby", "--lines").Want(0)
	s.Run("post", "lobby", "--file", path).Want(0)
	s.Run("post", "lobby", "-f", path, "with a text").Want(0)
	printed := s.Run("post", "lobby", "--result", "--", "--not a flag").Want(0).Out
	got := ada.WholeHistory("lobby")
	var texts []string
	var last []harness.File
	for _, e := range got {
		var with struct{ Files []harness.File }
		if err := json.Unmarshal(e.Raw, &with); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, fmt.Sprint(e.Message, len(with.Files)))
		if len(with.Files) > 0 {
			last = with.Files
		}
	}
	if want := "deploy done0|two\nlines0|a dash0|one0|two0|1|with a text1|--not a flag0"; strings.Join(texts, "|") != want {
		t.Fatalf("messages in the lobby = %q", texts)
	}
	if f := last[0]; f.Name != "report.txt" || f.Size != 12 {
		t.Errorf("file = %+v", f)
	}
	if printed != string(got[7].Raw)+"\n" {
		t.Errorf("--result printed %s", printed)
	}
	root := fmt.Sprint(got[0].ID)
	s.Run("post", "lobby", "an answer", "--thread", root).Want(0)
	if got := ada.History("lobby", "thread="+root).Items; len(got) != 2 || got[1].Message != "an answer" {
		t.Errorf("messages in the thread = %s", harness.Show(got))
	}
}

func TestTailPrintsHistoryAndNewEvents(t *testing.T) {
	t.Parallel()
	p, ada, s := terminalTest(t)
	bob := p.Signup(t, "bob")
	ada.Post("lobby", "too old")
	first := ada.Post("lobby", "hi")
	for _, transport := range []string{"auto", "ws", "sse", "sse-post", "ndjson", "poll"} {
		l := s.Tail("tail", "lobby", "-n", "1", "--transport", transport)
		want := func(texts ...string) {
			t.Helper()
			for line := l.Line(); len(texts) > 0; texts = texts[1:] {
				if !strings.Contains(line, texts[0]) {
					t.Fatalf("over %s: got %q, want %q", transport, line, texts[0])
				}
				if len(texts) > 1 {
					line = l.Line()
				}
			}
		}
		want(" ada: hi")
		first = ada.Post("lobby", "two\nlines \x1b[2J")
		want(" ada: two", `    | lines \x1b[2J`)
		ada.Edit("lobby", first.ID, "one line")
		want(" ada edited “two lines \\x1b[2J”: one line")
		bob.PostJSON("lobby", harness.Fields{"message": "quite", "thread": first.ID})
		want(" bob in the thread “one line”: quite")
		bob.React("PUT", "lobby", first.ID, "👍")
		want(" bob reacted 👍 “one line”")
		bob.Send("ada", "not for the tail")
		ada.Do("DELETE", fmt.Sprintf("/v1/rooms/lobby/messages/%d", first.ID), nil).Want(204)
		want(" ada deleted a message “one line”")
		ada.Post("lobby", "hi")
		want(" ada: hi")
		if err := l.Cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTailOfAllRoomsPrintsRoomsJoinedLater(t *testing.T) {
	t.Parallel()
	_, ada, s := terminalTest(t)
	for i, rooms := range [][]string{{"*"}, {"lobby", "*"}} {
		l := s.Tail(append([]string{"tail", "-n", "0"}, rooms...)...)
		joined := fmt.Sprint("garden-", i)
		begun := false
		for !begun { // nothing may be missing after the first message that it prints
			ada.Post("lobby", "are you there?")
			select {
			case <-l.Lines:
				begun = true
			case <-time.After(300 * time.Millisecond):
			}
		}
		ada.Enter(joined)
		ada.Post(joined, "hi")
		ada.Post("lobby", "the end")
		var got []string
		for {
			line := l.Line()
			if strings.Contains(line, "the end") {
				break
			}
			got = append(got, line)
		}
		if !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, joined) && strings.HasSuffix(line, "ada: hi") }) {
			t.Errorf("tail %q: got %q, want the message in %s", rooms, got, joined)
		}
		if err := l.Cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTailAsJSONHasTheServersBytes(t *testing.T) {
	t.Parallel()
	_, ada, s := terminalTest(t)
	want := ada.Post("lobby", "é\u202e\u009b <&>")
	if got := s.Tail("tail", "lobby", "--json", "-n", "1").Line(); got != string(want.Raw) {
		t.Errorf("printed %s for %s", got, want.Raw)
	}
}

func TestTailKeepsItsCursorBetweenRuns(t *testing.T) {
	t.Parallel()
	_, ada, s := terminalTest(t)
	cursor := filepath.Join(t.TempDir(), "cursor")
	ada.Post("lobby", "one")
	run := func(want ...string) {
		t.Helper()
		l := s.Tail("tail", "lobby", "--cursor", cursor)
		for _, text := range want {
			if line := l.Line(); !strings.HasSuffix(line, text) {
				t.Fatalf("got %q, want %q", line, text)
			}
		}
		// The cursor is written after the line, so the line may be seen first. Once a later line is there, the cursor
		// is written.
		_ = l.Cmd.Process.Kill()
		_ = l.Exit()
	}
	run("ada is now owner of lobby", "ada: one")
	ada.Post("lobby", "two")
	ada.Post("lobby", "three")
	l := s.Tail("tail", "lobby", "--cursor", cursor)
	line := l.Line()
	if strings.HasSuffix(line, "ada: one") { // a kill between line and cursor repeats the line
		line = l.Line()
	}
	if next := l.Line(); !strings.HasSuffix(line, "ada: two") || !strings.HasSuffix(next, "ada: three") {
		t.Errorf("printed after a restart: %q and %q", line, next)
	}
}

// TestTailLosesNothingOverBadProxies posts while a proxy cuts, buffers and refuses.
func TestTailLosesNothingOverBadProxies(t *testing.T) {
	harness.Slow(t, "the proxies cut connections, and a transport is given up after 5 s")
	p, ada, _ := terminalTest(t)
	all := func(*http.Request) bool { return true }
	for name, f := range map[string]faults{
		"cuts":                         {cut: 1200 * time.Millisecond},
		"no WebSocket":                 {noSocket: true, cut: 2 * time.Second},
		"buffers all":                  {noSocket: true, buffer: all},
		"buffers GET":                  {noSocket: true, buffer: func(r *http.Request) bool { return r.Method == "GET" }},
		"cuts what is quiet for 0.5 s": {quiet: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			room := strings.NewReplacer(" ", "-", ".", "-").Replace(name)
			ada := ada.In(t)
			ada.Enter(room)
			proxy := startBadProxy(t, p.URL, f)
			l := harness.NewShell(t, "TANDEM_SERVER="+proxy.URL, "TANDEM_TOKEN="+ada.AccessToken).Tail("tail", room, "--json", "-n", "0")
			var want []string
			begun := ""
			for begun == "" { // nothing may be missing after the first message that it prints
				want = append(want, string(ada.Post(room, "are you there?").Raw))
				select {
				case begun = <-l.Lines:
				case <-time.After(300 * time.Millisecond):
				}
			}
			want = want[slices.Index(want, begun)+1:]
			for i := range 20 {
				want = append(want, string(ada.Post(room, fmt.Sprint(i)).Raw))
				time.Sleep(200 * time.Millisecond)
			}
			for _, w := range want {
				if got := l.Line(); got != w {
					t.Fatalf("got %s, want %s", got, w)
				}
			}
		})
	}
}

func TestPostCutsLinesThatAreTooLong(t *testing.T) {
	t.Parallel()
	_, ada, s := terminalTest(t)
	fits := strings.Repeat("é", 4000)
	cut := strings.Repeat("é", 3999) + "…"
	s.Pipe(strings.Join([]string{
		"first", fits, fits + "é", "a\r", strings.Repeat("é", 1<<20), strings.Repeat(" ", 1<<20), fits + "\r", "last",
	}, "\n"), "post", "lobby", "--lines").Want(0)
	want := []string{"first", fits, cut, "a", cut, fits, "last"}
	got := ada.WholeHistory("lobby")
	if len(got) != len(want) {
		t.Fatalf("messages in the lobby: got %d, want %d", len(got), len(want))
	}
	for i, e := range got {
		if e.Message != want[i] {
			t.Errorf("message %d: got %s (%d bytes), want %s (%d bytes)", i, harness.Clip([]byte(e.Message)), len(e.Message), harness.Clip([]byte(want[i])), len(want[i]))
		}
	}
}

func TestPrivateSendsLines(t *testing.T) {
	t.Parallel()
	p, ada, s := terminalTest(t)
	p.Signup(t, "bob").Send("ada", "psst")
	cmd := s.Command("private", "bob", "--lines")
	cmd.Stdin = strings.NewReader("one\ntwo\n")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "" { // it follows the conversation, and never ends
		t.Fatalf("private --lines: got the output %q, want none", line)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("private --lines: got %v, want success", err)
	}
	var got []string
	for _, e := range ada.Page(harness.PrivatePath("bob")+"/messages", "").Items {
		got = append(got, e.Message)
	}
	if want := []string{"psst", "one", "two"}; !slices.Equal(got, want) {
		t.Errorf("conversation with bob: got %q, want %q", got, want)
	}
}

// TestPostFailsIfTandemDidNotAnswer posts through what answers every call with success, as a captive portal does.
func TestPostFailsIfTandemDidNotAnswer(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	file := filepath.Join(t.TempDir(), "report.txt")
	if err := os.WriteFile(file, []byte("all is well"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, response := range []struct {
		status     int
		kind, body string
	}{
		{200, "text/html", "<html>Log in to the network</html>"},
		{200, "text/html", ""},
		{201, "application/json", ""},
		{201, "application/json", "<html>"},
		{201, "text/plain", "{}"},
	} {
		portal := startBadProxy(t, p.URL, faults{intercept: func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", response.kind)
			w.WriteHeader(response.status)
			_, _ = io.WriteString(w, response.body)
			return true
		}})
		s := harness.NewShell(t, "TANDEM_SERVER="+portal.URL, "TANDEM_TOKEN=x")
		for _, args := range [][]string{{"post", "lobby", "x"}, {"post", "lobby", "-f", file}, {"private", "bob", "x"}} {
			if got := s.Run(args...); got.Code != 1 || !strings.Contains(got.Errors, "not from tandem") {
				t.Errorf("%v answered by %+v: got exit code %d and %q, want 1 and “not from tandem”", args, response, got.Code, got.Errors)
			}
		}
	}
}

func TestPostIsRetriedUnderOneKey(t *testing.T) {
	t.Parallel()
	p, ada, _ := terminalTest(t)
	var lost atomic.Int32
	proxy := startBadProxy(t, p.URL, faults{
		lose: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/messages") && lost.Add(1) <= 2 },
	})
	ada.LoggedIn(proxy.URL).Run("post", "lobby", "once").Want(0)
	if n := proxy.count("POST /v1/rooms/lobby/messages"); n != 3 {
		t.Errorf("message posted %d times, want 3", n)
	}
	if got := ada.WholeHistory("lobby"); len(got) != 1 {
		t.Errorf("messages in the lobby = %s", harness.Show(got))
	}
}

func TestProcessesOfOneLoginRefreshItOnce(t *testing.T) {
	t.Parallel()
	p, ada, _ := terminalTest(t)
	proxy := startBadProxy(t, p.URL, faults{})
	s := ada.LoggedIn(proxy.URL)
	path := filepath.Join(s.Config, "logins.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept []map[string]any
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	kept[0]["refresh_at"] = time.Now().Add(-time.Minute)
	if text, err = json.Marshal(kept); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	harness.InParallel(8, func(i int) {
		if got := s.Run("post", "lobby", fmt.Sprint(i)); got.Code != 0 {
			t.Errorf("exit code %d: %s", got.Code, got.Errors)
		}
	})
	if n := proxy.count("POST /v1/auth/refresh"); n != 1 {
		t.Errorf("session refreshed %d times, want once", n)
	}
	if n := len(ada.WholeHistory("lobby")); n != 8 {
		t.Errorf("lobby has %d messages, want 8", n)
	}
}

func TestPrivateConversations(t *testing.T) {
	t.Parallel()
	p, ada, s := terminalTest(t)
	bob := p.Signup(t, "bob")
	bob.Send("ada", "psst")
	p.Signup(t, "eve").Send("ada", "not of bob's")
	l := s.Tail("private", "Bob")
	if line := l.Line(); !strings.HasSuffix(line, " bob: psst") {
		t.Fatalf("printed %q", line)
	}
	s.Run("private", "bob", "what?").Want(0)
	s.Pipe("hm\n", "private", "bob", "-").Want(0)
	ada.Post("lobby", "not for this")
	bob.Send("ada", "nothing")
	for _, want := range []string{" ada: what?", " ada: hm", " bob: nothing"} {
		if line := l.Line(); !strings.HasSuffix(line, want) {
			t.Errorf("got %q, want %q", line, want)
		}
	}
	if got := s.Run("private").Want(0).Out; got != "bob\t2\neve\t1\n" {
		t.Errorf("conversations = %q", got)
	}
	s.Run("private", "nobody-here", "x").Want(2)
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	p, ada, s := terminalTest(t)
	s.Run("post", "nowhere", "x").Want(2)
	s.Run("tail", "nowhere").Want(2)
	s.Run("post", "lobby", " ").Want(2)
	s.Run("rooms", "--nonsense").Want(80)
	harness.NewShell(t).Run("rooms").Want(3)
	nobody := "http://" + harness.FreeAddress(t)
	harness.NewShell(t, "TANDEM_SERVER="+nobody, "TANDEM_TOKEN=x").Run("post", "lobby", "x", "--timeout", "1s").Want(4)
	s.Pipe("wrong password\n", "login", p.URL, "-u", "ada").Want(3)
	stranger := startBadProxy(t, p.URL, faults{intercept: func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = io.WriteString(w, "<html>It works!</html>")
		return true
	}})
	if got := harness.NewShell(t, "TANDEM_SERVER="+stranger.URL, "TANDEM_TOKEN=x").Run("rooms").Want(1); !strings.Contains(got.Errors, "not from tandem") {
		t.Errorf("server that is not tandem: error = %s", got.Errors)
	}
	ada.Enter("dying")
	l := s.Tail("tail", "dying", "-n", "0", "--presence")
	l.Line()
	ada.Do("DELETE", "/v1/rooms/dying", nil).Want(204)
	if code := l.Exit(); code != 1 {
		t.Errorf("the tail of a deleted room ends with %d, want 1", code)
	}
	l = s.Tail("tail", "lobby", "-n", "0", "--presence")
	l.Line()
	s.Run("logout").Want(0)
	if code := l.Exit(); code != 3 {
		t.Errorf("the tail of a session that has ended ends with %d, want 3", code)
	}
}
