package deploy

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// compose does what `docker compose config` does: it validates files, merges them and substitutes variables.
func compose(t *testing.T, env []string, files ...string) *types.Project {
	t.Helper()
	for i, f := range files {
		files[i] = filepath.Join(root, f)
	}
	options, err := cli.NewProjectOptions(files, cli.WithEnv(env), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCompose(t *testing.T) {
	for _, files := range [][]string{{"compose.yaml"}, {"compose.yaml", "compose.s3.yaml"}} {
		p := compose(t, []string{"S3_SECRET_KEY=s3cret"}, slices.Clone(files)...)
		inS3 := len(files) > 1
		for _, name := range []string{"tandem-1", "tandem-2"} {
			s := p.Services[name]
			if grace := time.Duration(*s.StopGracePeriod); grace <= stopsWithin {
				t.Errorf("%s: stop_grace_period = %v, too short", name, grace)
			}
			var mounts []string
			for _, v := range s.Volumes {
				mounts = append(mounts, v.Target)
			}
			url := s.Environment["TANDEM_FILES_URL"]
			switch {
			case !inS3 && (url != nil || !slices.Contains(mounts, "/data/files")):
				t.Errorf("%s of %v: file storage = %v and %v", name, files, mounts, url)
			case inS3 && (len(mounts) != 1 || url == nil || !strings.HasPrefix(*url, "s3://tandem?endpoint=http://s3:7070") || *s.Environment["AWS_SECRET_ACCESS_KEY"] != "s3cret"):
				t.Errorf("%s of %v: file storage = %v and %v", name, files, mounts, url)
			}
			if s.Environment["TANDEM_DATABASE_URL_FILE"] == nil || s.Environment["TANDEM_VALKEY_URL"] == nil {
				t.Errorf("%s of %v: settings missing: %v", name, files, s.Environment)
			}
		}
		if _, ok := p.Services["s3"]; ok != inS3 {
			t.Errorf("%v: has an S3 server = %v", files, ok)
		}
	}
	// Make sure that validation does reject a misspelt key.
	options, err := cli.NewProjectOptions([]string{filepath.Join("testdata", "misspelt.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := options.LoadProject(context.Background()); err == nil || !strings.Contains(err.Error(), "stop_grace_perod") {
		t.Errorf("misspelt key: got error %v", err)
	}
}
