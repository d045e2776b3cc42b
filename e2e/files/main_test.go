// Package files tests files: uploads, ranges, pictures, deletion, S3.
package files

import (
	"os"
	"testing"

	"tandem/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
