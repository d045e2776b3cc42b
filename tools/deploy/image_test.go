package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// dockerfile parses a Dockerfile as BuildKit does.
func dockerfile(t *testing.T, dir string) []instructions.Stage {
	t.Helper()
	f, err := os.Open(filepath.Join(root, dir, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	// Every source that is copied from the build context must exist. Copies from other stages are not checked.
	for _, s := range stages {
		for _, c := range s.Commands {
			if c, ok := c.(*instructions.CopyCommand); ok && c.From == "" {
				for _, path := range c.SourcePaths {
					if _, err := os.Stat(filepath.Join(root, dir, path)); err != nil {
						t.Error(err)
					}
				}
			}
		}
	}
	return stages
}

var makes = regexp.MustCompile(`(^|&& |=\S+ )make (\S+)`)

// The image must be built by make, and cross-compiled on the builder's own architecture.
func TestImageIsBuiltByMake(t *testing.T) {
	stages := dockerfile(t, ".")
	var targets []string
	for i, s := range stages {
		if last := i == len(stages)-1; !last && s.Platform != "$BUILDPLATFORM" {
			t.Errorf("stage %s would be emulated: platform %q", s.Name, s.Platform)
		} else if last && s.BaseName != "scratch" {
			t.Errorf("base image = %s, want scratch", s.BaseName)
		}
		var args []string
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.ArgCommand:
				for _, a := range c.Args {
					args = append(args, a.Key)
				}
			case *instructions.RunCommand:
				line := strings.Join(c.CmdLine, " ")
				if found := makes.FindStringSubmatch(line); found != nil {
					targets = append(targets, found[2])
				} else if strings.Contains(line, "go build") || strings.Contains(line, "npm ") {
					t.Errorf("not built by make: %s", line)
				}
				if strings.Contains(line, "make binary") && (line != "GOOS=$TARGETOS GOARCH=$TARGETARCH make binary" || strings.Join(args, " ") != "TARGETOS TARGETARCH") {
					t.Errorf("binary not built for the image's architecture: %s, with %v", line, args)
				}
			}
		}
	}
	if got := strings.Join(targets, " "); got != "frontend/node_modules app binary" {
		t.Errorf("the image is built by make %s, want frontend/node_modules app binary", got)
	}
	// npm ci needs the package.json of every workspace.
	text, err := os.ReadFile(filepath.Join(root, "frontend/package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var frontend struct{ Workspaces []string }
	if err := json.Unmarshal(text, &frontend); err != nil || len(frontend.Workspaces) == 0 {
		t.Fatal(err, frontend)
	}
	for _, w := range frontend.Workspaces {
		copied := false
		for _, c := range stages[0].Commands {
			c, ok := c.(*instructions.CopyCommand)
			copied = copied || ok && slices.Contains(c.SourcePaths, "frontend/"+w+"/package.json")
		}
		if !copied {
			t.Errorf("package.json of the workspace %s not copied", w)
		}
	}
	out, err := exec.Command("make", append([]string{"-C", root, "-n"}, targets...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// compose.s3.yaml must use the S3 server that scripts/setup builds for the tests: both take its version from one go.mod.
func TestImageOfTheS3Server(t *testing.T) {
	stages := dockerfile(t, "tools/versitygw")
	build := ""
	for _, c := range stages[0].Commands {
		if c, ok := c.(*instructions.RunCommand); ok {
			build += strings.Join(c.CmdLine, " ")
		}
	}
	if !strings.Contains(build, "go build -trimpath -ldflags=-s -o /out/versitygw github.com/versity/versitygw/cmd/versitygw") {
		t.Errorf("build command of the S3 server = %s", build)
	}
}
