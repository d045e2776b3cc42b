package harness

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	_ "tandem/doctor"
)

// Shell runs the built program's commands with a configuration of its own.
type Shell struct {
	t      *testing.T
	Config string
	Env    []string
}

func NewShell(t *testing.T, env ...string) *Shell {
	return &Shell{t, t.TempDir(), env}
}

// LoggedIn returns a shell that is logged in to address as c.
func (c *Client) LoggedIn(address string, env ...string) *Shell {
	c.T.Helper()
	s := NewShell(c.T, env...)
	s.Pipe(c.Password+"\n", "login", address, "--username", c.User.Username).Want(0)
	return s
}

// ran is the outcome of a command.
type ran struct {
	t           *testing.T
	line        string
	Code        int
	Out, Errors string
}

func (s *Shell) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(Binary(s.t), args...)
	cmd.Env = append(append(WithoutSettings(), "TANDEM_CONFIG_DIR="+s.Config, "NO_COLOR=", "TERM=xterm"), s.Env...)
	return cmd
}

// Pipe runs a command with the given standard input and waits for it.
func (s *Shell) Pipe(stdin string, args ...string) ran {
	s.t.Helper()
	cmd := s.Command(args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	if _, is := errors.AsType[*exec.ExitError](err); err != nil && !is {
		s.t.Fatal(err)
	}
	return ran{s.t, "tandem " + strings.Join(args, " "), cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func (s *Shell) Run(args ...string) ran { s.t.Helper(); return s.Pipe("", args...) }

// Want checks the exit code.
func (r ran) Want(code int) ran {
	r.t.Helper()
	if r.Code != code {
		r.t.Fatalf("%s: got exit code %d, want %d\n%s%s", r.line, r.Code, code, r.Out, r.Errors)
	}
	return r
}

// tailing is a command that runs until the end of the test, and its lines.
type tailing struct {
	t     *testing.T
	Lines chan string
	ended chan error
	Cmd   *exec.Cmd
	errs  *logBook
}

func (s *Shell) Tail(args ...string) *tailing {
	s.t.Helper()
	cmd := s.Command(args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	l := &tailing{s.t, make(chan string, 1000), make(chan error, 1), cmd, NewLogBook(s.t)}
	cmd.Stderr = l.errs
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go l.Read(out)
	s.t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have exited already
	return l
}

func (l *tailing) Read(out io.Reader) {
	for in := bufio.NewScanner(out); in.Scan(); {
		l.Lines <- in.Text()
	}
	close(l.Lines)
	l.ended <- l.Cmd.Wait()
}

// Line returns the next line.
func (l *tailing) Line() string {
	l.t.Helper()
	select {
	case line, ok := <-l.Lines:
		if !ok {
			l.t.Fatalf("the command exited: %v\n%s", <-l.ended, l.errs.Tail(1000))
		}
		return line
	case <-time.After(Patience):
		l.t.Fatalf("the command printed nothing\n%s", l.errs.Tail(1000))
		return ""
	}
}

// Exit waits for the command and returns its exit code.
func (l *tailing) Exit() int {
	l.t.Helper()
	for range l.Lines { //nolint:revive // drain the remaining lines
	}
	<-l.ended
	return l.Cmd.ProcessState.ExitCode()
}

// Screen is a command that runs on a terminal.
type Screen struct {
	t     *testing.T
	tty   *os.File
	mu    sync.Mutex
	text  bytes.Buffer
	ended chan int
}

func (s *Shell) Screen(args ...string) *Screen {
	s.t.Helper()
	return OnScreen(s.t, s.Command(args...))
}

func OnScreen(t *testing.T, cmd *exec.Cmd) *Screen {
	t.Helper()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	v := &Screen{t: t, tty: tty, ended: make(chan int, 1)}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := tty.Read(buffer)
			v.mu.Lock()
			v.text.Write(buffer[:n])
			v.mu.Unlock()
			if err != nil { // EIO at the end, on Linux
				break
			}
		}
		_ = cmd.Wait()
		v.ended <- cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = tty.Close()
	})
	return v
}

// Shows waits until the terminal has shown all of these texts, and returns everything shown so far.
func (v *Screen) Shows(wants ...string) string {
	v.t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(5 * time.Millisecond) {
		v.mu.Lock()
		text := v.text.String()
		v.mu.Unlock()
		missing := ""
		for _, want := range wants {
			if !strings.Contains(text, want) {
				missing = want
			}
		}
		if missing == "" {
			return text
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("the terminal does not show %q:\n%q", missing, text)
		}
	}
}

func (v *Screen) Types(text string) {
	v.t.Helper()
	if _, err := v.tty.WriteString(text); err != nil {
		v.t.Fatal(err)
	}
}

// Exit waits for the command to exit.
func (v *Screen) Exit() int {
	v.t.Helper()
	select {
	case code := <-v.ended:
		return code
	case <-time.After(Patience):
		v.t.Fatal("the command does not exit")
		return 0
	}
}
