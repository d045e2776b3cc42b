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

// arrows say what each package of ours may import of ours: DESIGN.md §4. A package that is not here has no place
// yet; give it one before it grows.
var arrows = map[string][]string{
	"tandem":          {"program"},
	"tandem/program":  {"activity", "api", "auth", "chat", "frontend", "panics", "realtime", "store", "valkey"},
	"tandem/api":      {"activity", "auth", "chat", "panics", "realtime"},
	"tandem/auth":     {"activity", "panics"},
	"tandem/bench":    {"chat", "store", "testservers"}, // some of it measures the log alone
	"tandem/chat":     {},
	"tandem/frontend": {},
	"tandem/activity": {}, // whose clocks stop while nobody needs the node
	"tandem/panics":   {}, // as log/slog, for everybody who starts goroutines
	"tandem/realtime": {"activity", "chat", "panics"},
	"tandem/store":    {"activity", "auth", "chat", "panics"},
	"tandem/valkey":   {"activity", "chat", "panics", "realtime"},

	"tandem/testservers": {}, // for tests and benchmarks

	"tandem/conformance":         {"conformance/suite"},
	"tandem/conformance/breaker": {},
	"tandem/conformance/suite":   {},
}

func TestPackageArrows(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
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
			t.Errorf("%s has no place among the packages", p.ImportPath)
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
