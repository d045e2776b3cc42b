package program

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows lists which of our packages each package may import (ARCHITECTURE.md). A package that is missing here has no
// place yet; give it one before it grows.
var arrows = map[string][]string{
	"tandem":                 {"command"},
	"tandem/command":         {"doctor", "imports", "program", "terminal"},
	"tandem/program":         {"activity", "api", "auth", "beforepost", "chat", "files", "followers", "frontend", "headroom", "hooks", "imports", "metrics", "outbound", "panics", "push", "realtime", "store", "traces", "valkey"},
	"tandem/api":             {"activity", "auth", "chat", "files", "hooks", "inlets", "outbound", "panics", "push", "realtime"},
	"tandem/api/requestspec": {}, // generates api/requests.gen.json
	"tandem/auth":            {"activity", "panics"},
	"tandem/beforepost":      {"chat", "outbound", "panics"},
	"tandem/bench":           {"chat", "followers", "frontend", "hooks", "outbound", "store", "testservers"}, // it measures the log alone, too
	"tandem/chat":            {},
	"tandem/frontend":        {},
	"tandem/activity":        {}, // its clocks stop while the node is not needed
	"tandem/files":           {"panics"},
	"tandem/followers":       {"activity", "chat", "panics"},
	"tandem/headroom":        {},
	"tandem/hooks":           {"chat", "followers", "outbound"},
	"tandem/imports":         {},
	"tandem/inlets":          {},
	"tandem/metrics":         {"api", "followers", "panics", "realtime", "valkey"},
	"tandem/outbound":        {},
	"tandem/panics":          {}, // like log/slog: for everything that starts goroutines
	"tandem/push":            {"activity", "chat", "followers", "outbound", "panics"},
	"tandem/realtime":        {"activity", "chat", "panics"},
	"tandem/store":           {"activity", "auth", "chat", "followers", "panics", "push"},
	"tandem/traces":          {},
	"tandem/valkey":          {"activity", "chat", "panics", "realtime"},

	"tandem/testservers": {}, // for tests and benchmarks

	"tandem/frontend/examples/embed":          {},
	"tandem/frontend/examples/embed/accounts": {"frontend/examples/embed"},
	"tandem/frontend/examples/embed/sessions": {"frontend/examples/embed"},
	"tandem/frontend/examples/embed/issuer":   {"frontend/examples/embed"},

	"tandem/client":   {}, // like any client, it knows only the wire
	"tandem/doctor":   {"client", "terminal"},
	"tandem/terminal": {"client"},

	// Only tests: each area runs whole programs with the harness, which nothing else imports.
	"tandem/e2e/harness":  {"api", "chat", "doctor", "program", "store", "testservers"},
	"tandem/e2e/accounts": {},
	"tandem/e2e/cluster":  {},
	"tandem/e2e/files":    {},
	"tandem/e2e/hooks":    {},
	"tandem/e2e/operate":  {},
	"tandem/e2e/rooms":    {},
	"tandem/e2e/security": {},
	"tandem/e2e/streams":  {},

	"tandem/conformance":         {"conformance/suite"},
	"tandem/conformance/breaker": {},
	"tandem/conformance/suite":   {},
}

func TestPackageArrows(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; packages++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p.ImportPath, "/node_modules/") {
			continue
		}
		may, known := arrows[p.ImportPath]
		if !known {
			t.Errorf("%s is missing from the list of packages", p.ImportPath)
		}
		for _, imported := range p.Imports {
			if ours, isOurs := strings.CutPrefix(imported, "tandem/"); isOurs && !slices.Contains(may, ours) {
				t.Errorf("%s must not import %s", p.ImportPath, imported)
			}
			if strings.HasPrefix(imported, "github.com/labstack/echo") && p.ImportPath != "tandem/api" {
				t.Errorf("%s imports Echo, which only api may", p.ImportPath)
			}
		}
	}
	if packages < 2 {
		t.Errorf("go list found %d packages", packages)
	}
}
