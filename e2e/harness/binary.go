package harness

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tandem/testservers"
)

var (
	buildOnce sync.Once
	builtDir  string
	errBuild  error
)

// Binary returns the program's file: TANDEM_BIN, or else it builds the program once.
func Binary(t *testing.T) string {
	t.Helper()
	if file := os.Getenv("TANDEM_BIN"); file != "" {
		return file
	}
	buildOnce.Do(func() {
		if builtDir, errBuild = os.MkdirTemp("", "tandem-test-"); errBuild != nil {
			return
		}
		errBuild = Build(".", filepath.Join(builtDir, "tandem"))
	})
	if errBuild != nil {
		t.Fatal(errBuild)
	}
	return filepath.Join(builtDir, "tandem")
}

// CompiledAlike makes the go command compile as the Makefile does for the binary, so that no package is compiled again.
var CompiledAlike = []string{"CGO_ENABLED=0", "GOFLAGS=-trimpath"}

// Build builds a program of the repository.
func Build(program, file string) error {
	cmd := exec.Command("go", "build", "-o", file, program)
	cmd.Env = append(os.Environ(), CompiledAlike...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// Process is a tandem that runs as a separate process.
type Process struct {
	*Server
	Cmd   *exec.Cmd
	ended chan error
}

// StartBinary runs the built program on a free port and a data directory, with further settings as NAME=value, and waits
// until it is ready.
func StartBinary(t *testing.T, dataDir string, env ...string) *Process {
	t.Helper()
	address := FreeAddress(t)
	cmd := exec.Command(Binary(t), "--addr", address, "--data-dir", dataDir)
	cmd.Env = append(append(WithoutSettings(), WithoutLimits...), env...)
	cmd.Env = append(cmd.Env, "TANDEM_DATABASE_URL="+DatabaseOf(t, dataDir))
	return RunUntilReady(t, cmd, address)
}

// RunUntilReady starts cmd and, like a supervisor, starts it again if the database was too slow on a busy machine.
func RunUntilReady(t *testing.T, cmd *exec.Cmd, address string) *Process {
	t.Helper()
	logs := NewLogBook(t)
	again := *cmd
	cmd.Stdout, cmd.Stderr = logs, logs
	ended, err := testservers.Start(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Server: NewServer(t, "http://"+address, logs), Cmd: cmd, ended: ended}
	t.Cleanup(p.Kill)
	for deadline := time.Now().Add(Patience); ; {
		resp, err := http.Get(p.URL + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == 200 {
				return p
			}
		}
		select {
		case err := <-p.ended:
			p.ended <- err
			if strings.Contains(logs.Tail(4000), context.DeadlineExceeded.Error()) && time.Now().Before(deadline) {
				return RunUntilReady(t, &again, address)
			}
			t.Fatalf("the program exited during startup: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the program did not become ready: %v", err)
		}
	}
}

// FreeAddress returns a loopback address on which nobody is listening now.
func FreeAddress(t *testing.T) string {
	t.Helper()
	port, err := testservers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strconv.Itoa(port)
}

// WithoutSettings returns the environment without tandem's settings.
func WithoutSettings() []string {
	var env []string
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "TANDEM_") {
			env = append(env, line)
		}
	}
	return env
}

var WithoutLimits = []string{"TANDEM_LIMIT_POSTS=0", "TANDEM_LIMIT_LOGINS=0", "TANDEM_LIMIT_SIGNUPS=0", "TANDEM_LIMIT_STREAMS=0", "TANDEM_LIMIT_WRITES=0", "TANDEM_LIMIT_READS=0"}

// Kill sends SIGKILL and waits until the process is gone.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // it may have exited already
	err := <-p.ended
	p.ended <- err
}

// Terminate sends SIGTERM and checks that the process exits with code 0 in time.
func (p *Process) Terminate(t *testing.T) {
	t.Helper()
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		p.ended <- err
		if err != nil {
			t.Errorf("after SIGTERM the program exited with %v", err)
		}
	case <-time.After(Within(stopBound)):
		t.Errorf("the program is still running %v after SIGTERM", Within(stopBound))
	}
}
