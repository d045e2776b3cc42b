package harness

import (
	"os/exec"
	"testing"
)

// StartWithin runs the binary from a shell script, which must end with exec "$@".
func StartWithin(t *testing.T, script, dataDir string) *Process {
	t.Helper()
	address := FreeAddress(t)
	cmd := exec.Command("sh", "-c", script, dataDir, Binary(t), "--addr", address, "--data-dir", dataDir)
	cmd.Env = append(WithoutSettings(), WithoutLimits...)
	return RunUntilReady(t, cmd, address)
}
