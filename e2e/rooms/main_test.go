// Package rooms tests what happens in rooms and private conversations: messages, history, search, threads, moderation, retention.
package rooms

import (
	"os"
	"testing"

	"tandem/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
