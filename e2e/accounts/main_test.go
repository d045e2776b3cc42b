// Package accounts tests users and authentication: signup, login, tokens, sessions, profiles, presence, external
// issuers.
package accounts

import (
	"os"
	"testing"

	"tandem/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
