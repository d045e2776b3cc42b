package harness

import (
	"testing"

	"tandem/program"
	"tandem/testservers"
)

// StartNodes runs programs that share a PostgreSQL and, if valkey is not nil, a Valkey.
func StartNodes(t *testing.T, n int, valkey *testservers.Valkey, change ...func(*program.Settings)) []*Program {
	t.Helper()
	database := EmptyDatabase(t)
	nodes := make([]*Program, n)
	for i := range nodes {
		nodes[i] = StartProgram(t, append([]func(*program.Settings){func(cfg *program.Settings) {
			cfg.DatabaseURL = database
			if valkey != nil {
				cfg.ValkeyURL = valkey.URL()
			}
		}}, change...)...)
	}
	return nodes
}
