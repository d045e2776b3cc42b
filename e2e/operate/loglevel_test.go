package operate

import (
	"strings"
	"syscall"
	"testing"

	"tandem/e2e/harness"
)

// SIGHUP switches a running server to the debug level, and a second one switches back. The server keeps serving.
func TestSIGHUPSwitchesTheLogLevel(t *testing.T) {
	t.Parallel()
	p := harness.StartBinary(t, t.TempDir(), "TANDEM_LOG_LEVEL=info")
	ada := p.Signup(t, "ada")
	requests := func() int { return strings.Count(p.Logs.Tail(1<<20), "level=DEBUG msg=request") }
	changes := func() int { return strings.Count(p.Logs.Tail(1<<20), "the log level has changed") }
	if n := requests(); n != 0 {
		t.Fatalf("%d requests logged at level info, want none", n)
	}
	for i, want := range []bool{true, false, true} {
		if err := p.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, "the level changes", func() bool { return changes() == i+1 })
		before := requests()
		ada.Do("GET", "/v1/me", nil).Want(200)
		ada.Do("GET", "/v1/me", nil).Want(200) // the first is logged after its answer
		if logged := requests() > before; logged != want {
			t.Errorf("after %d hangups: requests logged = %v, want %v", i+1, logged, want)
		}
	}
}
