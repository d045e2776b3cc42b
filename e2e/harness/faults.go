package harness

import (
	"os"
)

// Long reports whether faults last as long as docs/reliability.md says, and its times are checked (make test-faults).
// Otherwise they last just long enough to have an effect.
var Long = os.Getenv("TANDEM_FAULTS") == "long"
