// Package testservers starts real PostgreSQL, Valkey and S3 servers for tests and benchmarks. They listen on private ports,
// keep their data in temporary directories, and end with the process that started them.
//
// If a server's program is not installed, the functions that take a test skip it, or fail it if TANDEM_REQUIRE=all is set
// (make test).
package testservers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ErrMissing means that the server's program is not installed; scripts/setup installs it.
var ErrMissing = errors.New("is not installed (scripts/setup installs it)")

// Need ends the test because of an error. It skips the test if a program is missing and may be missing.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrMissing) && os.Getenv("TANDEM_REQUIRE") == "":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// NeedProgram returns the path of a program, or ends the test as Need does.
func NeedProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		err = fmt.Errorf("%s %w", name, ErrMissing)
	}
	Need(t, err)
	return path
}

// FreePort returns a TCP port on 127.0.0.1 that nobody listens on. It is below the kernel's ephemeral ports (32768 and
// up on Linux), so a stopped server finds its port free when it starts again. No other call returns the same port while
// this process runs, also in other processes: go test runs several at once.
func FreePort() (int, error) {
	for range 100 {
		port := 16384 + rand.IntN(16384)
		if ours, err := reserve(port); err != nil {
			return 0, err
		} else if !ours {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return port, l.Close()
	}
	return 0, errors.New("a hundred ports are in use")
}

// reserve locks a file named after the port. The lock ends with the process. The file is never closed, and never
// removed, since another process may have opened it to lock it.
func reserve(port int) (bool, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("tandem-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	file, err := syscall.Open(filepath.Join(dir, strconv.Itoa(port)), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return false, err
	}
	if err := syscall.Flock(file, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = syscall.Close(file)
		return false, nil
	}
	return true, nil
}

// daemon is a server's process.
type daemon struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// start runs cmd as Start does.
func start(cmd *exec.Cmd, dying syscall.Signal) (*daemon, error) {
	ended, err := Start(cmd, dying)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	d := &daemon{cmd: cmd, ended: make(chan struct{})}
	go func() {
		<-ended
		close(d.ended)
	}()
	return d, nil
}

// Start starts cmd. The kernel sends it the signal dying when this process ends for whatever reason, so that a killed
// test run leaves nothing behind. The channel gets what cmd.Wait returns.
func Start(cmd *exec.Cmd, dying syscall.Signal) (chan error, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = dying
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		// The kernel sends the signal when the thread that started the process ends (prctl(2)), so this thread waits.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return ended, nil
}

// startWait is how long a server may take to answer, which a busy machine delays.
const startWait = 3 * time.Minute

// await waits until ping returns nil. Otherwise it ends the process and returns an error with its log.
func (d *daemon) await(log *bytes.Buffer, ping func(context.Context) error) error {
	for deadline := time.Now().Add(startWait); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := ping(ctx)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-d.ended:
			return fmt.Errorf("%s ended instead of serving:\n%s", d.cmd.Path, log.Bytes())
		default:
		}
		if time.Now().After(deadline) {
			d.end(syscall.SIGQUIT)
			return fmt.Errorf("%s did not answer within %v: %w\n%s", d.cmd.Path, startWait, err, log.Bytes())
		}
	}
}

// end sends a signal that ends the process, and waits until it has ended.
func (d *daemon) end(s syscall.Signal) {
	_ = d.cmd.Process.Signal(s)
	<-d.ended
}

// freeze stops the process and waits until it has stopped, which takes time on a busy machine.
func (d *daemon) freeze() {
	_ = d.cmd.Process.Signal(syscall.SIGSTOP)
	for deadline := time.Now().Add(10 * time.Second); !stopped(d.cmd.Process.Pid) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// thaw undoes freeze.
func (d *daemon) thaw() { _ = d.cmd.Process.Signal(syscall.SIGCONT) }

// stopped reports whether every thread of a process is stopped, according to /proc.
func stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if _, state, ok := strings.Cut(string(stat), ") "); err == nil && ok && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}
