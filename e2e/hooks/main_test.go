// Package hooks tests integrations: hooks, inlets, the hook before a post, push notifications.
package hooks

import (
	"os"
	"testing"

	"tandem/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
