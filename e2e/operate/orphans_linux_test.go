package operate

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// A test run that is killed, as by a timeout of CI, leaves no server behind.
func TestServersDieWithAKilledTestRun(t *testing.T) {
	const pid = "the server is process"
	if os.Getenv("TANDEM_TEST_ORPHAN") != "" {
		p := harness.StartBinary(t, t.TempDir())
		fmt.Printf("\n%s %d\n", pid, p.Cmd.Process.Pid)
		select {} // until it is killed
	}
	t.Parallel()
	run := exec.Command(os.Args[0], "-test.run=^TestServersDieWithAKilledTestRun$", "-test.v")
	run.Env = append(os.Environ(), "TANDEM_TEST_ORPHAN=1", "TMPDIR="+t.TempDir())
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ended, err := testservers.Start(run, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	server := 0
	for lines := bufio.NewScanner(out); server == 0 && lines.Scan(); {
		if text, is := strings.CutPrefix(lines.Text(), pid); is {
			if _, err := fmt.Sscan(text, &server); err != nil {
				t.Fatal(err)
			}
		}
	}
	if server == 0 {
		t.Fatalf("the run ended without a server: %v", <-ended)
	}
	if err := syscall.Kill(server, 0); err != nil {
		t.Fatalf("the server does not run: %v", err)
	}
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(harness.Patience); !gone(server); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still running", server)
		}
	}
}

// gone reports whether a process has ended, even if nobody has waited for it yet.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return errors.Is(err, os.ErrNotExist) || strings.HasPrefix(state, "Z")
}
