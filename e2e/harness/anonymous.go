package harness

import (
	"tandem/program"
)

func AnonymousRead(cfg *program.Settings) { cfg.AnonymousRead = true }
