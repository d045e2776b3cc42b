package api

import (
	_ "embed"
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

// requests is what validating requests needs of openapi.yaml.
//
//go:embed requests.gen.json
var requests []byte

// Spec is openapi.yaml. Servers may share it.
type Spec struct {
	text       []byte
	operations map[string]*operation // by operationId
}

// ReadSpec returns the contract whose text is openapi.yaml. It takes longer than everything else at the start.
func ReadSpec(text []byte) (*Spec, error) {
	doc, err := openapi3.NewLoader().LoadFromData(requests)
	if err != nil {
		return nil, fmt.Errorf("read the requests of openapi.yaml: %w", err)
	}
	return &Spec{text, operationsOf(doc)}, nil
}
