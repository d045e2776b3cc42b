package operate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// posts writes a bulk export with n long posts.
func posts(t *testing.T, file string, n int) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	to := bufio.NewWriter(f)
	lines := json.NewEncoder(to)
	type fields = map[string]any
	write := func(line fields) {
		if err := lines.Encode(line); err != nil {
			t.Fatal(err)
		}
	}
	write(fields{"type": "channel", "channel": fields{"team": "acme", "name": "town", "type": "O"}})
	text := strings.Repeat("word ", 780)
	for i := range n {
		write(fields{"type": "post", "post": fields{"team": "acme", "channel": "town", "user": "ada", "message": fmt.Sprint(i, " ", text), "create_at": 1711958400000 + i}})
	}
	if err := to.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// An import keeps no messages in memory: eighty megabytes of them take little more memory than four.
func TestImportHoldsNoMessages(t *testing.T) {
	harness.Slow(t, "it imports 20,000 long messages")
	memory := func(n int) int {
		dir := t.TempDir()
		file := filepath.Join(t.TempDir(), "export.jsonl")
		posts(t, file, n)
		cmd := exec.Command(harness.Binary(t), "import", "mattermost", file, "--data-dir", dir)
		cmd.Env = append(harness.WithoutSettings(), "TANDEM_DATABASE_URL="+harness.DatabaseOf(t, dir))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		most := 0
		for {
			select {
			case err := <-ended:
				if err != nil {
					t.Fatalf("%v\n%s", err, out.String())
				}
				wantLines(t, out.String(), fmt.Sprint(n, " messages"))
				if most == 0 {
					t.Error("nothing measured")
				}
				return most >> 10 // MiB
			case <-time.After(20 * time.Millisecond):
				if now, err := harness.MostResidentKiB(cmd.Process.Pid); err == nil {
					most = now
				}
			}
		}
	}
	few, many := memory(1000), memory(20_000)
	if many > few+48 {
		t.Errorf("1,000 messages needed %d MiB, 20,000 needed %d", few, many)
	}
	t.Logf("1,000 messages needed %d MiB, 20,000 needed %d", few, many)
}
