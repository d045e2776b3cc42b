package streams

import (
	"bytes"
	"os"
	"testing"

	"tandem/e2e/harness"
)

func TestContractIsServedAsWritten(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	written, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Visitor(t).Do("GET", "/openapi.yaml", nil).Want(200); !bytes.Equal(got.Body, written) {
		t.Errorf("the served document differs from openapi.yaml: %d bytes, want %d", len(got.Body), len(written))
	}
}
