package program

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

var (
	buildOnce sync.Once
	builtDir  string
	errBuild  error
)

// binary builds the program once, as a user would.
func binary(t *testing.T) string {
	t.Helper()
	buildOnce.Do(func() {
		if builtDir, errBuild = os.MkdirTemp("", "tandem-test-"); errBuild != nil {
			return
		}
		if out, err := exec.Command("go", "build", "-o", filepath.Join(builtDir, "tandem"), ".").CombinedOutput(); err != nil {
			errBuild = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if errBuild != nil {
		t.Fatal(errBuild)
	}
	return filepath.Join(builtDir, "tandem")
}

// process is a tandem of its own process.
type process struct {
	*testServer
	cmd   *exec.Cmd
	ended chan error
}

// startBinary runs the built program on a free port and a data directory, with further settings as NAME=value,
// and returns when it is ready.
func startBinary(t *testing.T, dataDir string, env ...string) *process {
	t.Helper()
	address := freeAddress(t)
	cmd := exec.Command(binary(t), "--addr", address, "--data-dir", dataDir)
	cmd.Env = append(append(withoutSettings(), withoutLimits...), env...)
	cmd.Env = append(cmd.Env, "TANDEM_DATABASE_URL="+databaseOf(t, dataDir))
	return runUntilReady(t, cmd, address)
}

// runUntilReady starts cmd again, as a supervisor does, where the database of a busy machine was too slow for its start.
func runUntilReady(t *testing.T, cmd *exec.Cmd, address string) *process {
	t.Helper()
	logs := newLogBook(t)
	again := *cmd
	cmd.Stdout, cmd.Stderr = logs, logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{testServer: newTestServer(t, "http://"+address, logs), cmd: cmd, ended: make(chan error, 1)}
	go func() { p.ended <- cmd.Wait() }()
	t.Cleanup(p.kill)
	for deadline := time.Now().Add(patience); ; {
		resp, err := http.Get(p.url + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == 200 {
				return p
			}
		}
		select {
		case err := <-p.ended:
			p.ended <- err
			if strings.Contains(logs.tail(4000), context.DeadlineExceeded.Error()) && time.Now().Before(deadline) {
				return runUntilReady(t, &again, address)
			}
			t.Fatalf("the program ended instead of serving: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the program is not ready: %v", err)
		}
	}
}

// freeAddress is where nobody listens just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// withoutSettings is the environment without what would configure the program.
func withoutSettings() []string {
	var env []string
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "TANDEM_") {
			env = append(env, line)
		}
	}
	return env
}

var withoutLimits = []string{"TANDEM_LIMIT_POSTS=0", "TANDEM_LIMIT_LOGINS=0", "TANDEM_LIMIT_SIGNUPS=0", "TANDEM_LIMIT_STREAMS=0", "TANDEM_LIMIT_WRITES=0", "TANDEM_LIMIT_READS=0"}

// kill is SIGKILL. It returns when the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	err := <-p.ended
	p.ended <- err
}

// terminate is SIGTERM, and asserts that the process ends with code 0 within the contract's 10 s.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		p.ended <- err
		if err != nil {
			t.Errorf("after SIGTERM the program ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("10 s after SIGTERM the program still runs")
	}
}

func TestTerminatedProgramTellsItsStreams(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	p := startBinary(t, dataDir)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	streams := []*stream{ada.open(overSSE, "room=lobby"), ada.open(overWS, "room=lobby")}
	for _, s := range streams {
		s.opening()
	}
	posted := ada.post("lobby", "the last words")
	p.terminate(t)
	for _, s := range streams {
		s.message("the last words")
		s.assertClosed("restart", websocket.CloseServiceRestart)
	}
	again := ada.on(startBinary(t, dataDir).testServer)
	if got := again.wholeHistory("lobby"); len(got) != 1 || got[0].ID != posted.ID {
		t.Errorf("after the restart the history is %s", show(got))
	}
}

func TestHealthCommandTellsWhetherTheProgramServes(t *testing.T) {
	t.Parallel()
	p := startBinary(t, t.TempDir())
	health := func(address string) error {
		cmd := exec.Command(binary(t), "health")
		cmd.Env = append(withoutSettings(), "TANDEM_HEALTH_URL=http://"+address)
		return cmd.Run()
	}
	if err := health(p.host(t)); err != nil {
		t.Errorf("health of a program that serves: %v", err)
	}
	if err := health(freeAddress(t)); err == nil {
		t.Error("health is well where nothing listens")
	}
}

func TestSettingsComeFromTheEnvironmentToo(t *testing.T) {
	t.Parallel()
	address, dataDir := freeAddress(t), t.TempDir()
	cmd := exec.Command(binary(t), "serve")
	cmd.Env = append(withoutSettings(), "TANDEM_ADDR="+address, "TANDEM_DATA_DIR="+dataDir, "TANDEM_SIGNUP=closed", "TANDEM_JWT_SECRET="+testSecret)
	p := runUntilReady(t, cmd, address)
	p.visitor(t).do("POST", "/v1/auth/signup", credentials{"ada", "a good horse battery"}).wantProblem(403, "signup_closed", "")
	if _, err := os.Stat(filepath.Join(dataDir, "tandem.db")); err != nil {
		t.Error(err)
	}
	p.terminate(t)
}
