package deploy

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// need skips the test if a program is missing, or fails it under make test, where nothing may be missing.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("TANDEM_REQUIRE") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSystemdUnitIsConfined(t *testing.T) {
	analyze := need(t, "systemd-analyze")
	unit := filepath.Join(root, "deploy/tandem.service")
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", unit).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := regexp.MustCompile(`Overall exposure level for tandem\.service: ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no exposure level in\n%s", out)
	}
	if level, err := strconv.ParseFloat(string(found[1]), 64); err != nil || level >= 2 {
		t.Errorf("exposure = %s (%v), want below 2", found[1], err)
	}
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			settings[name] = append(settings[name], value)
		}
	}
	// The service may write to its data directory only, and may not execute memory that it has written.
	for name, want := range map[string]string{
		"StateDirectory": "tandem", "Environment": "TANDEM_DATA_DIR=/var/lib/tandem", "ProtectSystem": "strict", "MemoryDenyWriteExecute": "yes",
	} {
		if got := settings[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	stop, err := strconv.Atoi(settings["TimeoutStopSec"][0])
	if err != nil || float64(stop) <= stopsWithin.Seconds() {
		t.Errorf("TimeoutStopSec = %d (%v), too short", stop, err)
	}
}

// If tandem is not installed, that must be all that systemd-analyze verify complains about.
func TestSystemdUnitIsValid(t *testing.T) {
	analyze := need(t, "systemd-analyze")
	text, err := os.ReadFile(filepath.Join(root, "deploy/tandem.service"))
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "tandem.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/tandem", self)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "tandem.service") {
			t.Error(line)
		}
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
