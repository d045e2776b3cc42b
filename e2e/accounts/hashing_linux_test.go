package accounts

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// hasherOf returns the id of the process that hashes a server's passwords, which must not be before. It logs in until
// there is one: the server gives up on a process that fails, and the next login starts another.
func hasherOf(t *testing.T, server, before int, login func() *harness.Client) int {
	t.Helper()
	for deadline := time.Now().Add(harness.Patience); time.Now().Before(deadline); login() {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", server))
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", server, task.Name()))
			for _, child := range strings.Fields(string(children)) {
				line, _ := os.ReadFile("/proc/" + child + "/cmdline")
				var pid int
				if _, err := fmt.Sscan(child, &pid); err == nil && pid != before && strings.HasSuffix(string(line), "\x00hash-passwords\x00") {
					return pid
				}
			}
		}
	}
	t.Fatal("no hashing process found")
	return 0
}

func TestPasswordsAreHashedInALowPriorityProcess(t *testing.T) {
	t.Parallel()
	// On a busy machine the low-priority process takes longer than the server waits for it by default.
	p := harness.StartBinary(t, t.TempDir(), "TANDEM_JWT_SECRET="+harness.Secret, "TANDEM_HASH_WAIT=1m")
	ada := p.Signup(t, "ada")
	first := hasherOf(t, p.Cmd.Process.Pid, 0, ada.Login)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", first))
	if err != nil {
		t.Fatal(err)
	}
	// proc(5): the nice value is the 17th field after the name in parentheses.
	if f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])); f[16] != "19" {
		t.Errorf("nice value = %s", f[16])
	}
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
	if again := hasherOf(t, p.Cmd.Process.Pid, 0, ada.Login); again != first {
		t.Errorf("the hashing process was replaced after signals that it must ignore")
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ada.Login() // hashed by the server itself
	ada.Login()
	second := hasherOf(t, p.Cmd.Process.Pid, first, ada.Login)
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
