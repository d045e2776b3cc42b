// Package operate tests what operators and users run: the binary, its commands, backups, the terminal client, the docs.
package operate

import (
	"os"
	"testing"

	"tandem/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
