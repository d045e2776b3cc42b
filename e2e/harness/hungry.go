package harness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

func ResidentKiB(t *testing.T, p *Process) int {
	t.Helper()
	kib, err := MostResidentKiB(p.Cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

// MostResidentKiB returns the peak resident memory of a running process. (The kernel's figure for a process that has ended
// includes the memory of its parent.)
func MostResidentKiB(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	if !found {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return strconv.Atoi(strings.Fields(rest)[0])
}
