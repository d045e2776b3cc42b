// Package harness runs the whole program for the tests in e2e and uses it as its clients do: over HTTP and over each stream
// transport. It checks everything that is received against openapi.yaml. Only tests import it.
package harness

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"tandem/testservers"
)

// atOnce is how many tests of an area run in parallel at least, beside other areas (make test). More would not finish sooner
// on two processors, but wait longer for each other.
const atOnce = 6

// Main is called by each area's TestMain. It runs more tests in parallel than there are processors, since many only wait
// for one of the contract's own times, and it cleans up what the tests share.
func Main(m *testing.M) int {
	flag.Parse()
	if err := toRoot(); err != nil { // paths are relative to the root
		panic(err)
	}
	if runtime.GOMAXPROCS(0) < atOnce {
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce)) // cannot fail
	}
	code := m.Run()
	testservers.Close()
	if builtDir != "" {
		_ = os.RemoveAll(builtDir)
	}
	return code
}

// toRoot changes to the directory of go.mod.
func toRoot() error {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return os.Chdir(dir)
		}
		up := filepath.Dir(dir)
		if up == dir {
			return errors.New("no go.mod above the tests")
		}
		dir = up
	}
	return err
}
