package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"tandem/panics"
)

// A handler that panics costs its request a 500 that says nothing; the next request is answered.
func TestPanicInAHandlerCostsItsRequest(t *testing.T) {
	spec, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	broken := true
	s, err := New(Config{Spec: spec, Logger: slog.New(slog.DiscardHandler), Page: os.DirFS("../frontend/unbuilt"), Ready: func(context.Context) error {
		if broken {
			panic("a secret of the database")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	defer server.Close()
	before := panics.Total()
	for _, want := range []int{http.StatusInternalServerError, http.StatusOK} {
		answer, err := http.Get(server.URL + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != want || strings.Contains(string(body), "secret") {
			t.Errorf("the answer is %d %s, want %d", answer.StatusCode, body, want)
		}
		broken = false
	}
	if panics.Total() != before+1 {
		t.Errorf("%d panics are counted, want 1", panics.Total()-before)
	}
}

// The registry collects in goroutines of its own, where nothing but a recover of ours helps.
func TestPanicInMetricsCostsTheirFigures(t *testing.T) {
	handler := Metrics(nil, func() uint64 { return 7 }, slog.New(slog.DiscardHandler)) // without a hub to ask
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
		t.Errorf("the answer is %d, want the figures that there are:\n%.2000s", answer.StatusCode, body)
	}
	if panics.Total() == before {
		t.Error("nothing panicked, so the test shows nothing")
	}
}
