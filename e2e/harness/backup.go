package harness

import (
	"bytes"
	"fmt"
	"os/exec"
	"testing"
)

// Tandem runs a command of the binary on a data directory.
func Tandem(t *testing.T, dir string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.Command(Binary(t), append(args, "--data-dir", dir)...)
	cmd.Env = append(WithoutSettings(), "TANDEM_DATABASE_URL="+DatabaseOf(t, dir))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	return out, err
}
