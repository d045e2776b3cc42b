package accounts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/e2e/harness"
)

// hashers returns the ids of the processes that hash a server's passwords.
func hashers(server int) (pids []int) {
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", server))
	for _, list := range children {
		text, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(text)) {
			line, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if pid, err := strconv.Atoi(child); err == nil && strings.HasSuffix(string(line), "\x00hash-passwords\x00") {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// hurry gives the server's hashing processes normal priority, once they have lowered it: at the low one they stand still
// while other tests keep the processors busy. It returns a function that reports whether a process had lowered its priority.
func hurry(t *testing.T, server int) (lowered func(pid int) bool) {
	var seen sync.Map
	var end atomic.Bool
	var watch sync.WaitGroup
	watch.Go(func() {
		for ; !end.Load(); time.Sleep(5 * time.Millisecond) {
			for _, pid := range hashers(server) {
				threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
				for _, thread := range threads {
					id, _ := strconv.Atoi(thread.Name())
					if attr, err := unix.SchedGetAttr(id, 0); err == nil && attr.Policy == unix.SCHED_IDLE && attr.Nice == 19 {
						seen.Store(pid, true)
						_ = unix.SchedSetAttr(id, &unix.SchedAttr{Policy: unix.SCHED_NORMAL}, 0) // needs root; without, the test takes longer
						_ = unix.Setpriority(unix.PRIO_PROCESS, id, 0)
					}
				}
			}
		}
	})
	t.Cleanup(func() { end.Store(true); watch.Wait() })
	return func(pid int) bool { _, ok := seen.Load(pid); return ok }
}

func TestPasswordsAreHashedInALowPriorityProcess(t *testing.T) {
	t.Parallel()
	// On a busy machine a process takes longer than the server waits for it by default.
	p := harness.StartBinary(t, t.TempDir(), "TANDEM_JWT_SECRET="+harness.Secret, "TANDEM_HASH_WAIT=1h")
	server := p.Cmd.Process.Pid
	lowered := hurry(t, server)
	ada := p.Signup(t, "ada")
	// hasher logs in until there is a process that was not there before, and returns it.
	hasher := func(before ...int) int {
		for deadline := time.Now().Add(harness.Patience); time.Now().Before(deadline); ada.Login() {
			for _, pid := range hashers(server) {
				if !slices.Contains(before, pid) {
					return pid
				}
			}
		}
		t.Fatal("no hashing process found")
		return 0
	}
	first := hasher()
	harness.Eventually(t, "the process has lowered its priority", func() bool { return lowered(first) })
	if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", first)); err != nil || strings.Contains(string(env), harness.Secret) {
		t.Errorf("environment of the hashing process = %q, %v", env, err)
	}
	// Ctrl-C in a terminal reaches the process too and must not end it. A kill ends it, and the next login starts
	// another.
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if err := syscall.Kill(first, signal); err != nil {
			t.Fatal(err)
		}
	}
	ada.Login()
	if now := hashers(server); !slices.Contains(now, first) {
		t.Errorf("after signals that it must ignore: got processes %v, want %d among them", now, first)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ada.Login() // hashed by the server itself
	ada.Login()
	second := hasher(first)
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "another horse"}).WantProblem(401, "bad_credentials", "")
	// The process exits with the server, even if that was killed.
	p.Kill()
	for deadline := time.Now().Add(harness.Patience); syscall.Kill(second, 0) == nil; <-time.After(5 * time.Millisecond) {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", second)); err == nil && strings.Contains(string(stat), ") Z ") {
			break // dead; only waiting to be reaped
		}
		if time.Now().After(deadline) {
			t.Fatal("the hashing process outlived its server")
		}
	}
}
