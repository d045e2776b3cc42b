package testservers

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

//go:embed slowsync/slowsync.c
var slowSync []byte

// SlowSync makes every sync of this server take at least that long, as on a remote disk. The server, which has been
// stopped, does so when it is started.
func (p *Postgres) SlowSync(least time.Duration) error {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return fmt.Errorf("a C compiler %w", ErrMissing)
	}
	source, library := filepath.Join(p.dir, "slowsync.c"), filepath.Join(p.dir, "slowsync.so")
	if err := os.WriteFile(source, slowSync, 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(cc, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		return fmt.Errorf("cc: %w\n%s", err, out)
	}
	p.env = []string{"LD_PRELOAD=" + library, "TANDEM_SLOW_SYNC=" + strconv.FormatInt(least.Microseconds(), 10)}
	return os.Chmod(library, 0o755) // the server may run as somebody else
}
