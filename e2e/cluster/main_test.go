// Package cluster tests several nodes and their failures: crashes, outages, full disks, versions side by side.
package cluster

import (
	"os"
	"testing"

	"tandem/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
