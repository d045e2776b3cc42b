// Package testservers starts real PostgreSQL and Valkey servers for tests and benchmarks: on private ports, with
// their data in temporary directories, and gone with the process that started them.
//
// Where a server's program is not installed, the functions that take a test skip it, or fail it where
// TANDEM_REQUIRE=all says that everything has to be there (make test).
package testservers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// ErrMissing means that the server's program is not installed; scripts/setup installs it.
var ErrMissing = errors.New("is not installed (scripts/setup installs it)")

// Need ends the test for an error: as skipped if the server is missing and need not be there.
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

// freePort is a TCP port of 127.0.0.1 that nobody listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// daemon is a server's process.
type daemon struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// start runs cmd so that the kernel sends it dying once this process has gone, however that went.
func start(cmd *exec.Cmd, dying syscall.Signal) (*daemon, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = dying
	d := &daemon{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal comes with the end of the thread that started the process (prctl(2)), so that one waits.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(d.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return d, nil
}

// end sends a signal that ends the process, and waits for the end.
func (d *daemon) end(s syscall.Signal) {
	_ = d.cmd.Process.Signal(s)
	<-d.ended
}
