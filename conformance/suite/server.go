package suite

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
)

// server is what the server says about itself.
type server struct {
	doc *openapi3.T
}

// describe reads the server's /openapi.yaml.
func (r *run) describe(ctx context.Context) (*server, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", *r.url.Load()+"/openapi.yaml", nil)
	if err != nil {
		return nil, err
	}
	resp, err := r.http1.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("server does not respond: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("GET /openapi.yaml: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET /openapi.yaml: got %s: not a tandem server", resp.Status)
	}
	hash := sha256.Sum256(text)
	if doc, ok := contracts.Load(hash); ok {
		return &server{doc.(*openapi3.T)}, nil
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("/openapi.yaml: %w", err)
	}
	contracts.Store(hash, doc)
	return &server{doc}, nil
}

// contracts has the parsed contracts by the hash of their text, for processes that run the suite many times.
var contracts sync.Map

// lacks returns what a need is missing, or "". A need is an operation ("POST /v1/rooms"), a parameter of the stream
// ("?site"), or a value of one ("?format=ndjson").
func (s *server) lacks(need string) string {
	if parameter, ok := strings.CutPrefix(need, "?"); ok {
		name, value, _ := strings.Cut(parameter, "=")
		if events := s.doc.Paths.Value("/v1/events"); events != nil && events.Get != nil {
			for _, p := range append(slices.Clone(events.Parameters), events.Get.Parameters...) {
				if p.Value.Name == name && (value == "" || hasValue(p.Value.Schema, value)) {
					return ""
				}
			}
		}
		return "the server has no " + need
	}
	method, path, _ := strings.Cut(need, " ")
	if item := s.doc.Paths.Value(path); item == nil || item.GetOperation(method) == nil {
		return "the server has no " + need
	}
	return ""
}

func hasValue(schema *openapi3.SchemaRef, value string) bool {
	return schema != nil && schema.Value != nil && slices.Contains(schema.Value.Enum, any(value))
}
