package operate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
	"tandem/testservers"
)

// tracedSpan is a span as an OTLP receiver gets it.
type tracedSpan struct {
	TraceID, SpanID, ParentSpanID, Name string
	Start                               string `json:"startTimeUnixNano"`
	End                                 string `json:"endTimeUnixNano"`
	Attributes                          []tracedValue
	node                                string
}

type tracedValue struct {
	Key   string
	Value struct{ StringValue, IntValue string }
}

func valueOf(attributes []tracedValue, key string) string {
	for _, a := range attributes {
		if a.Key == key {
			return a.Value.StringValue + a.Value.IntValue
		}
	}
	return ""
}

// receiver is an OpenTelemetry collector that accepts OTLP over HTTP.
type receiver struct {
	mu    sync.Mutex
	spans []tracedSpan
	wrong []string
}

func startReceiver(t *testing.T) (*receiver, func(*program.Settings)) {
	r := new(receiver)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	environment := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20let-me-in"}
	return r, func(cfg *program.Settings) { cfg.Getenv = func(name string) string { return environment[name] } }
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var sent struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []tracedValue }
			ScopeSpans []struct{ Spans []tracedSpan }
		}
	}
	err := json.NewDecoder(q.Body).Decode(&sent)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || q.URL.Path != "/v1/traces" || q.Header.Get("Authorization") != "Bearer let-me-in" || q.Header.Get("Content-Type") != "application/json" {
		r.wrong = append(r.wrong, fmt.Sprint(q.URL.Path, q.Header, err))
	}
	for _, of := range sent.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				s.node = valueOf(of.Resource.Attributes, "service.instance.id")
				r.spans = append(r.spans, s)
			}
		}
	}
}

// of returns the spans of a trace by name and node.
func (r *receiver) of(trace string) map[string]tracedSpan {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := make(map[string]tracedSpan)
	for _, s := range r.spans {
		if s.TraceID == trace {
			found[s.Name+" "+s.node] = s
		}
	}
	return found
}

// A post is one trace, from the call on one node to the delivery on another, within the caller's trace.
func TestPostIsOneTraceAcrossTwoNodes(t *testing.T) {
	t.Parallel()
	collector, traced := startReceiver(t)
	nodes := harness.StartNodes(t, 2, testservers.NewValkey(t), traced)
	ada, bob := nodes[0].Signup(t, "ada"), nodes[1].Signup(t, "bob")
	ada.Enter("lobby")
	s := bob.Open(harness.OverSSE, "room=lobby")
	s.Opening()
	const caller = "00f067aa0ba902b7"
	var id struct{ ID int64 }
	var post, commit, publish, here, there tracedSpan
	// Streams count that get the event within a second; a busy machine may need several posts.
	for try := 0; try < 10 && valueOf(there.Attributes, "tandem.streams") != "1"; try++ {
		trace := fmt.Sprintf("4bf92f3577b34da6a3ce929d0e0e473%d", try)
		ada.Do("POST", "/v1/rooms/lobby/messages", map[string]any{"message": trace}, "traceparent: 00-"+trace+"-"+caller+"-01").Want(201).Into(&id)
		s.UntilMessage(trace)
		harness.Eventually(t, "the trace is exported", func() bool {
			spans := collector.of(trace)
			post, commit, publish, here, there = tracedSpan{}, tracedSpan{}, tracedSpan{}, tracedSpan{}, tracedSpan{}
			for _, s := range spans {
				switch s.Name {
				case "postMessage":
					post = s
				case "commit":
					commit = s
				case "publish":
					publish = s
				}
			}
			for _, s := range spans {
				if s.Name == "delivery" && s.node == post.node {
					here = s
				} else if s.Name == "delivery" {
					there = s
				}
			}
			return post.Name != "" && commit.Name != "" && publish.Name != "" && here.Name != "" && there.Name != ""
		})
	}
	if n := valueOf(there.Attributes, "tandem.streams"); n != "1" {
		t.Errorf("the other node delivered to %s streams, want 1", n)
	}
	if post.ParentSpanID != caller || commit.ParentSpanID != post.SpanID || publish.ParentSpanID != commit.SpanID ||
		here.ParentSpanID != publish.SpanID || there.ParentSpanID != publish.SpanID {
		t.Errorf("spans are not linked as expected:\n%+v\n%+v\n%+v\n%+v\n%+v", post, commit, publish, here, there)
	}
	if post.node == "" || post.node != commit.node || post.node != publish.node || post.node != here.node || there.node == here.node || there.node == "" {
		t.Errorf("posted at %q, committed at %q, published at %q, delivered at %q and %q", post.node, commit.node, publish.node, here.node, there.node)
	}
	for _, s := range []tracedSpan{commit, publish, here, there} {
		if valueOf(s.Attributes, "tandem.event.id") != fmt.Sprint(id.ID) || s.Start > s.End || s.Start < post.Start && s.Name != "commit" {
			t.Errorf("span %+v does not belong to post %d", s, id.ID)
		}
	}
	if len(collector.wrong) > 0 {
		t.Errorf("collector errors: %s", collector.wrong)
	}
}

// If the trace receiver is down, posts and shutdown are not delayed.
func TestTracesWithoutAReceiver(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) {
		cfg.Getenv = func(name string) string {
			return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}[name]
		}
	})
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	s := ada.Open(harness.OverWS, "room=lobby")
	s.Opening()
	ada.Post("lobby", "hi")
	s.UntilMessage("hi")
	p.Stop(t)
	if !strings.Contains(p.Logs.Tail(1<<20), "traces were not sent") {
		t.Error("lost traces not logged")
	}
}
