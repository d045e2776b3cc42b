package security

import (
	"os"
	"os/exec"
	"testing"

	"tandem/e2e/harness"
)

// TestGeneratedCodeIsFresh generates what `make generate` writes to api/ again, and compares.
func TestGeneratedCodeIsFresh(t *testing.T) {
	t.Parallel()
	check := exec.Command("scripts/check-generated")
	check.Env = append(os.Environ(), harness.CompiledAlike...)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
