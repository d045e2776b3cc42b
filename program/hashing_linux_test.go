package program

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hasherOf is the number of the process that hashes a server's passwords, other than before. It logs in until there is one: a
// process that takes too long to begin is given up, and the next login starts another.
func hasherOf(t *testing.T, server, before int, login func() *client) int {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); login() {
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
	t.Fatal("no process hashes passwords")
	return 0
}

// It does not run beside others: on a machine that is busy, the process gives way for so long that it is not waited for.
func TestPasswordsAreHashedInAProcessThatGivesWay(t *testing.T) {
	p := startBinary(t, t.TempDir(), "TANDEM_JWT_SECRET="+testSecret)
	ada := p.signup(t, "ada")
	ada.login() // a process that was too slow to start is not waited for, and the next needs none
	first := hasherOf(t, p.cmd.Process.Pid, 0, ada.login)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", first))
	if err != nil {
		t.Fatal(err)
	}
	// proc(5): the nice value is the 17th field behind the name in parentheses.
	if f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])); f[16] != "19" {
		t.Errorf("its nice value is %s", f[16])
	}
	if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", first)); err != nil || strings.Contains(string(env), testSecret) {
		t.Errorf("its environment is %q, %v", env, err)
	}
	// A terminal's Ctrl-C reaches it too, and ends nothing; a kill ends it, and the next login starts another.
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if err := syscall.Kill(first, signal); err != nil {
			t.Fatal(err)
		}
	}
	ada.login()
	if again := hasherOf(t, p.cmd.Process.Pid, 0, ada.login); again != first {
		t.Errorf("another process hashes after signals that are not for it")
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ada.login() // within the server
	ada.login()
	second := hasherOf(t, p.cmd.Process.Pid, first, ada.login)
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"ada", "another horse"}).wantProblem(401, "bad_credentials", "")
	// However the server ends, its process does.
	p.kill()
	for deadline := time.Now().Add(patience); syscall.Kill(second, 0) == nil; <-time.After(5 * time.Millisecond) {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", second)); err == nil && strings.Contains(string(stat), ") Z ") {
			break // and waits for whoever inherits it to notice
		}
		if time.Now().After(deadline) {
			t.Fatal("the process outlives its server")
		}
	}
}
