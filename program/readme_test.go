package program

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The README's lines, pasted into a shell, do what it says: the tail prints what the last line posts.
func TestReadmeLinesWorkWhenPasted(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)## Five lines of curl\n\n```sh\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("README.md has no lines of curl")
	}
	lines := strings.TrimSpace(string(block[1]))
	if n := strings.Count(lines, "\n") + 1; n != 5 {
		t.Errorf("there are %d lines", n)
	}
	p := startProgram(t)
	shell := exec.CommandContext(t.Context(), "bash", "-c", strings.ReplaceAll(lines, "localhost:8080", strings.TrimPrefix(p.url, "http://"))+"\nwait")
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the tail runs until somebody ends it
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
	stuck := time.AfterFunc(patience, end)
	defer stuck.Stop()
	var printed []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		printed = append(printed, scan.Text())
		if strings.HasPrefix(scan.Text(), "data: ") && strings.Contains(scan.Text(), `"message":"hello"`) {
			return
		}
	}
	t.Errorf("the tail never printed hello; the lines printed\n%s", strings.Join(printed, "\n"))
}
