// Package streams tests how events reach readers: transports, cursors, resuming, slow readers, the conformance suite.
package streams

import (
	"os"
	"testing"

	"tandem/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
