package harness

import (
	"encoding/json"
)

// Finding is one finding in the report of tandem doctor.
type Finding struct {
	Check, Result, Detail, Advice string
}

// Examine runs tandem doctor and returns its findings by check.
func (s *Shell) Examine(status int, url string, args ...string) map[string]Finding {
	s.t.Helper()
	got := s.Run(append([]string{"doctor", url, "--json", "--idle", "1s", "--wait", "3s"}, args...)...)
	var report struct {
		URL     string
		Results []Finding
		Status  int
	}
	if err := json.Unmarshal([]byte(got.Out), &report); err != nil {
		s.t.Fatalf("%v: %s%s", err, got.Out, got.Errors)
	}
	if got.Code != status || report.Status != status {
		s.t.Errorf("exit status = %d, status in the report = %d, want %d: %s", got.Code, report.Status, status, got.Out)
	}
	all := map[string]Finding{}
	for _, f := range report.Results {
		all[f.Check] = f
	}
	return all
}
