// Command requestspec prints what the server needs of openapi.yaml to validate requests, as JSON: parsing the whole
// document was half of the time that a start takes.
//
//	go run ./requestspec ../openapi.yaml > requests.gen.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/oasdiff/yaml"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "requestspec:", err)
		os.Exit(1)
	}
}

func run(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, err = yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return err
	}
	trim(doc, false)
	prune(doc)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", "\t")
	return out.Encode(doc)
}

// texts are the keywords that do not affect which requests are allowed. Tags do: API tokens cannot call the operations
// with the tag accounts (see operationsOf).
var texts = []string{"description", "summary", "title", "example", "examples", "externalDocs", "responses", "servers", "contact", "license"}

// trim deletes texts and responses from v. The keys of named are names rather than keywords.
func trim(v any, named bool) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			trim(item, false)
		}
	case map[string]any:
		for key, value := range v {
			if !named && slices.Contains(texts, key) {
				delete(v, key)
				continue
			}
			trim(value, !named && slices.Contains([]string{"properties", "paths", "schemas", "parameters", "requestBodies", "securitySchemes"}, key))
		}
	}
}

// prune deletes the components that nothing refers to.
func prune(doc map[string]any) {
	components := doc["components"].(map[string]any)
	used := make(map[string]bool)
	var visit func(v any)
	visit = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				visit(item)
			}
		case map[string]any:
			ref, _ := v["$ref"].(string)
			if kind, name, ok := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/"); ok && !used[ref] {
				used[ref] = true
				visit(components[kind].(map[string]any)[name])
			}
			for _, value := range v {
				visit(value)
			}
		}
	}
	visit(doc["paths"])
	for kind, named := range components {
		for name := range named.(map[string]any) {
			if kind != "securitySchemes" && !used["#/components/"+kind+"/"+name] {
				delete(named.(map[string]any), name)
			}
		}
		if len(named.(map[string]any)) == 0 {
			delete(components, kind)
		}
	}
}
