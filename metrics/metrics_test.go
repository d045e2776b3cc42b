package metrics

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tandem/panics"
)

// The registry collects in its own goroutines, where only our recover helps.
func TestPanicInMetricsLosesOnlyTheirFigures(t *testing.T) {
	handler := New().Handler(Sources{ // there is no hub to ask
		Reads: func() uint64 { return 7 }, Waiting: func() int { return 0 }, FilesRemoved: func() uint64 { return 0 }, Awake: func() bool { return true },
	}, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(handler)
	defer server.Close()
	before := panics.Total()
	answer, err := http.Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK || !strings.Contains(string(body), "tandem_database_reads_total 7") || !strings.Contains(string(body), "tandem_panics_total") {
		t.Errorf("response = %d, want the figures that there are:\n%.2000s", answer.StatusCode, body)
	}
	if panics.Total() == before {
		t.Error("no panic: this run tests nothing")
	}
}
