package operate

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// The commands in the README work as it says: the tail prints what the last one posts.
func TestReadmeLinesWorkWhenPasted(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)## Five lines of curl\n\n```sh\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("no curl commands found in README.md")
	}
	lines := strings.TrimSpace(string(block[1]))
	if n := strings.Count(lines, "\n") + 1; n != 5 {
		t.Errorf("found %d commands in the README", n)
	}
	p := harness.StartProgram(t)
	shell := exec.CommandContext(t.Context(), "bash", "-c", strings.ReplaceAll(lines, "localhost:8080", strings.TrimPrefix(p.URL, "http://"))+"\nwait")
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the tail runs until it is stopped
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	end := func() { _ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	defer func() { _ = shell.Wait() }() // it was killed
	defer end()
	stuck := time.AfterFunc(harness.Patience, end)
	defer stuck.Stop()
	var printed []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		printed = append(printed, scan.Text())
		if strings.HasPrefix(scan.Text(), "data: ") && strings.Contains(scan.Text(), `"message":"hello"`) {
			return
		}
	}
	t.Errorf("tail never printed hello; it printed\n%s", strings.Join(printed, "\n"))
}

// The commands on the guide's pages do what the pages say.
func TestGuideLinesWorkWhenPasted(t *testing.T) {
	for page, want := range map[string][]string{
		"start": {`"username":"ada"`, "\ndata: {\"type\":\"chat_message\","},
		"curl":  {`"message":"deploy started"`, `{"items":[`, "\n{\"type\":\"chat_message\","},
	} {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile("docs/" + page + ".md")
			if err != nil {
				t.Fatal(err)
			}
			var lines strings.Builder
			for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(text, -1) {
				lines.Write(block[1])
			}
			p := harness.StartProgram(t)
			// The last command follows the room for 2 s; here it runs until everything has arrived.
			script := strings.NewReplacer("localhost:8080", strings.TrimPrefix(p.URL, "http://"), " -m 2 ", " ").Replace(lines.String())
			shell := exec.CommandContext(t.Context(), "bash", "-c", script)
			shell.Dir = t.TempDir() // answers are kept in files
			shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			out, err := shell.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := shell.Start(); err != nil {
				t.Fatal(err)
			}
			end := func() { _ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
			defer func() { _ = shell.Wait() }() // it was killed
			defer end()
			defer time.AfterFunc(harness.Patience, end).Stop()
			var printed strings.Builder
			missing := func() []string {
				return slices.DeleteFunc(slices.Clone(want), func(part string) bool { return strings.Contains(printed.String(), part) })
			}
			for scan := bufio.NewScanner(out); len(missing()) > 0 && scan.Scan(); {
				printed.WriteString(scan.Text() + "\n")
			}
			if missing := missing(); len(missing) > 0 {
				t.Errorf("%q missing from\n%s", missing, printed.String())
			}
			// A message posted twice with one key is in the history once.
			if history := regexp.MustCompile(`\{"items":.*?"prev":`).FindString(printed.String()); page == "curl" && strings.Count(history, `"message":"deploy done"`) != 1 {
				t.Errorf("want exactly one message deploy done, got %s", history)
			}
		})
	}
}
