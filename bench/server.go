//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tandem/testservers"
)

// server is a tandem that runs as a child process.
type server struct {
	options *options
	port    int
	data    string // holds the database and log.txt, the server's output
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended
}

// build builds the binary like a release, without the app if that has not been built.
func build(ctx context.Context, dir string) (path string, remove func(), err error) {
	tmp, err := os.MkdirTemp(dir, "tandem-bench-bin-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(tmp) }
	path = filepath.Join(tmp, "tandem")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "tandem")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		remove()
		return "", nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, remove, nil
}

// startServer starts a server with a new data directory. close stops it and removes the directory.
func startServer(ctx context.Context, o *options) (*server, error) {
	data, err := os.MkdirTemp(o.dir, "tandem-bench-")
	if err != nil {
		return nil, err
	}
	s := &server{options: o, data: data}
	if err := s.start(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// start starts the process and waits until it is ready.
func (s *server) start(ctx context.Context) error {
	if err := s.exec(ctx); err != nil {
		return err
	}
	return s.ready(ctx)
}

// exec starts the process.
func (s *server) exec(ctx context.Context) error {
	if s.port == 0 { // the same port as before, for clients to return to
		port, err := testservers.FreePort()
		if err != nil {
			return err
		}
		s.port = port
	}
	log, err := os.OpenFile(filepath.Join(s.data, "log.txt"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"serve", "--addr", s.addr(), "--data-dir", s.data, "--log-level", "warn",
		// A few users from one address do the work of thousands. -server-flags come later and take precedence.
		"--limit-posts=0", "--limit-logins=0", "--limit-signups=0", "--limit-streams=0",
		"--limit-writes=0", "--limit-reads=0", "--limit-rooms=0", "--limit-memberships=0", "--limit-tickets=0", "--limit-sessions=0"}
	s.cmd = exec.CommandContext(ctx, s.options.binary, append(args, s.options.serverFlags...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := startChild(s.cmd); err != nil {
		return err
	}
	s.done = make(chan struct{})
	go func() { s.cmd.Wait(); close(s.done) }()
	return nil
}

// ready waits until the server can take requests.
func (s *server) ready(ctx context.Context) error {
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		if res, err := http.Get("http://" + s.addr() + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.done:
			return fmt.Errorf("the server ended at once: %s\n%s", s.cmd.ProcessState, s.logTail())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("no 200 from /readyz within 15 s\n%s", s.logTail())
}

// stop ends the process as an operator would, and kills it if that takes more than 12 s.
func (s *server) stop() error {
	if s.done == nil { // never started
		return nil
	}
	client.CloseIdleConnections() // a connection that never sent a request may delay a stop
	s.cmd.Process.Signal(syscall.SIGTERM)
	began := time.Now()
	select {
	case <-s.done:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("the server ended with %s\n%s", s.cmd.ProcessState, s.logTail())
		}
		if took := time.Since(began); took > 10*time.Second {
			return fmt.Errorf("the server took %.1f s to stop", took.Seconds())
		}
		return nil
	case <-time.After(12 * time.Second):
		s.cmd.Process.Kill()
		<-s.done
		return errors.New("the server did not stop on SIGTERM")
	}
}

// close stops the server, prints its complaints, and removes its data.
func (s *server) close() {
	if err := s.stop(); err != nil {
		progress("  note: %v\n", err)
	}
	if tail := s.logTail(); strings.Contains(tail, "panic") || strings.Contains(tail, "ERROR") || strings.Contains(tail, "WARN") {
		progress("  note: the server's log ends\n%s\n", tail)
	}
	os.RemoveAll(s.data)
}

func (s *server) addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

func (s *server) logTail() string {
	b, _ := os.ReadFile(filepath.Join(s.data, "log.txt"))
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return "    " + strings.Join(lines[max(0, len(lines)-8):], "\n    ")
}

// cpu returns the processor time that the server has used, in steps of 10 ms.
func (s *server) cpu() time.Duration {
	own, _ := processCPU(s.cmd.Process.Pid)
	return own
}

// processCPU returns the processor time of a process, and that of its children that have ended.
func processCPU(pid int) (own, ended time.Duration) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// proc(5): the name in parentheses may contain anything; utime, stime, cutime and cstime are the 12th to 15th
	// fields after it.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 15 {
		return 0, 0
	}
	var ticks [4]int64
	for i := range ticks {
		ticks[i], _ = strconv.ParseInt(string(f[11+i]), 10, 64)
	}
	return time.Duration(ticks[0]+ticks[1]) * (time.Second / userHZ), time.Duration(ticks[2]+ticks[3]) * (time.Second / userHZ)
}

// treeCPU returns the processor time of a process and its children, including those that have ended.
func treeCPU(pid int) time.Duration {
	own, ended := processCPU(pid)
	all := own + ended
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	for _, child := range bytes.Fields(children) {
		if n, err := strconv.Atoi(string(child)); err == nil {
			own, _ := processCPU(n)
			all += own
		}
	}
	return all
}

// exactCPU is like cpu in ns, for the threads that are alive.
func (s *server) exactCPU() (all time.Duration) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		f := bytes.Fields(b)
		if len(f) > 0 {
			ns, _ := strconv.ParseInt(string(f[0]), 10, 64)
			all += time.Duration(ns)
		}
	}
	return all
}

// userHZ is the unit of times in /proc, the same on every Linux.
const userHZ = 100

// resident returns the server's resident memory in KiB.
func (s *server) resident() int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(b), "\nVmRSS:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(f[0], 10, 64)
	return n
}
