// Package security tests the whole API from outside: permissions, limits, attacks, and the answers of every operation.
package security

import (
	"os"
	"testing"

	"tandem/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
