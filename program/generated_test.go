package program

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestGeneratedCodeIsFresh generates api/rest.gen.go anew, as `make generate` does, and compares.
func TestGeneratedCodeIsFresh(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile("api/oapi-codegen.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// The file's own `output` wins over the flag -o: hence another file.
	fresh := filepath.Join(t.TempDir(), "rest.gen.go")
	output := regexp.MustCompile(`(?m)^output: .*$`)
	if !output.Match(config) {
		t.Fatal("api/oapi-codegen.yaml names no output")
	}
	elsewhere := filepath.Join(t.TempDir(), "oapi-codegen.yaml")
	if err := os.WriteFile(elsewhere, output.ReplaceAllLiteral(config, []byte("output: "+fresh)), 0o600); err != nil {
		t.Fatal(err)
	}
	generate := exec.Command("go", "tool", "-modfile=../tools/go.mod", "oapi-codegen", "-config", elsewhere, "../openapi.yaml")
	generate.Dir = "api"
	if out, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("oapi-codegen: %v\n%s", err, out)
	}
	want, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("api/rest.gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("api/rest.gen.go is stale: run `make generate`")
	}
}
