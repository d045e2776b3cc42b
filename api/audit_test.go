package api

import (
	"slices"
	"strings"
	"testing"
)

// Every operation that administers or moderates must be in the audit log: this checks all operations that write below
// these paths. What users do to themselves is not recorded, where that is known (deedOf).
func TestAdminOperationsAreAudited(t *testing.T) {
	moderated := []string{"members/{username}", "bans", "mutes", "reports", "before-post", "inlets", "hooks", "/pin"}
	found := make(map[string]bool)
	for id, op := range readSpec(t).operations {
		path := op.route.Path
		rest, inRoom := strings.CutPrefix(path, "/v1/rooms/{room}/")
		of := strings.HasPrefix(path, "/v1/admin/") ||
			inRoom && slices.ContainsFunc(moderated, func(p string) bool { return strings.HasPrefix(rest, p) || strings.HasSuffix(rest, p) })
		if !of || !op.writes() {
			continue
		}
		found[id] = true
		if _, is := deeds[id]; !is {
			t.Errorf("%s (%s %s) is not audited", id, op.route.Method, path)
		}
	}
	for id := range deeds {
		if readSpec(t).operations[id] == nil {
			t.Errorf("operation %s missing from openapi.yaml", id)
		}
	}
	if len(found) < 20 {
		t.Errorf("checked only %d operations, want at least 20", len(found))
	}
}
