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

// A handler that panics causes a 500 that reveals nothing, and the next request is answered.
func TestPanicInAHandlerFailsOnlyItsRequest(t *testing.T) {
	spec := readSpec(t)
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
			t.Errorf("response = %d %s, want %d", answer.StatusCode, body, want)
		}
		broken = false
	}
	if panics.Total() != before+1 {
		t.Errorf("%d panics are counted, want 1", panics.Total()-before)
	}
}
