package api

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// What the server reads instead of openapi.yaml must say the same about every operation: who may call it, and which
// bodies and parameters it has.
func TestRequestsMatchTheContract(t *testing.T) {
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	want, got := operationsOf(doc), specServer(t).operations
	if !reflect.DeepEqual(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) || len(want) < 100 {
		t.Fatalf("operations = %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	for id, w := range want {
		g := *got[id]
		if g.route.Path != w.route.Path || g.route.Method != w.route.Method || (g.body == nil) != (w.body == nil) || (g.shape == nil) != (w.shape == nil) {
			t.Errorf("%s is %s %s, want %s %s; its body or shape may differ, too", id, g.route.Method, g.route.Path, w.route.Method, w.route.Path)
		}
		same := *w
		g.route, g.body, g.shape = same.route, same.body, same.shape // they contain the texts
		if !reflect.DeepEqual(g, same) {
			t.Errorf("%s = %+v, want %+v", id, g, same)
		}
		if w.body != nil {
			if g, w := slices.Sorted(maps.Keys(got[id].body.Content)), slices.Sorted(maps.Keys(w.body.Content)); !slices.Equal(g, w) {
				t.Errorf("%s has bodies %v, want %v", id, g, w)
			}
		}
		if g, w := parameters(got[id]), parameters(w); !slices.Equal(g, w) {
			t.Errorf("%s has parameters %v, want %v", id, g, w)
		}
	}
}

func parameters(op *operation) (names []string) {
	for _, list := range []openapi3.Parameters{op.route.PathItem.Parameters, op.route.Operation.Parameters} {
		for _, p := range list {
			names = append(names, p.Value.In+" "+p.Value.Name)
		}
	}
	return names
}
