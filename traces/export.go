package traces

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporter sends spans with OTLP over HTTP, in JSON. OpenTelemetry's own exporter would bring gRPC and the protobuf
// types of the whole protocol (docs/decisions/0037).
type exporter struct {
	url    string
	header http.Header
	client http.Client
	logger *slog.Logger
}

// newExporter returns nil if getenv has no endpoint.
func newExporter(getenv func(string) string, logger *slog.Logger) (*exporter, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := getenv(name); v != "" {
				return v
			}
		}
		return ""
	}
	to := getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if to == "" {
		base := getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
		if base == "" {
			return nil, nil
		}
		to = strings.TrimSuffix(base, "/") + "/v1/traces"
	}
	if u, err := url.Parse(to); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT is not a URL such as http://collector:4318: traces go by OTLP over HTTP")
	}
	e := &exporter{url: to, header: http.Header{"Content-Type": {"application/json"}}, client: http.Client{Timeout: 10 * time.Second}, logger: logger}
	if ms, err := strconv.Atoi(first("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")); err == nil && ms > 0 {
		e.client.Timeout = time.Duration(ms) * time.Millisecond
	}
	for pair := range strings.SplitSeq(first("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"), ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		value, err := url.PathUnescape(value)
		if ok && err == nil {
			e.header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return e, nil
}

// ExportSpans implements sdktrace.SpanExporter. Spans that cannot be sent are lost.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := e.send(ctx, spans); err != nil {
		e.logger.Warn("traces were not sent", "spans", len(spans), "error", err)
	}
	return nil // the SDK would log it in its own format
}

func (e *exporter) send(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	text, err := json.Marshal(requestOf(spans))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header = e.header
	answer, err := e.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver of traces answered %s", answer.Status)
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (e *exporter) Shutdown(context.Context) error {
	e.client.CloseIdleConnections()
	return nil
}

// The JSON of an ExportTraceServiceRequest (opentelemetry-proto, and its mapping to JSON: ids are hex, 64-bit numbers strings).
type (
	request struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   attributes   `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	attributes struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope struct {
			Name string `json:"name"`
		} `json:"scope"`
		Spans []span `json:"spans"`
	}
	span struct {
		TraceID      string     `json:"traceId"`
		SpanID       string     `json:"spanId"`
		ParentSpanID string     `json:"parentSpanId,omitempty"`
		TraceState   string     `json:"traceState,omitempty"`
		Name         string     `json:"name"`
		Kind         int        `json:"kind"`
		Start        string     `json:"startTimeUnixNano"`
		End          string     `json:"endTimeUnixNano"`
		Attributes   []keyValue `json:"attributes,omitempty"`
		Status       status     `json:"status"`
	}
	status struct {
		Code int `json:"code,omitempty"`
	}
	keyValue struct {
		Key   string `json:"key"`
		Value value  `json:"value"`
	}
	value struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"`
	}
)

func requestOf(spans []sdktrace.ReadOnlySpan) request {
	scope := scopeSpans{}
	scope.Scope.Name = spans[0].InstrumentationScope().Name // we have one
	for _, s := range spans {
		out := span{
			TraceID: s.SpanContext().TraceID().String(), SpanID: s.SpanContext().SpanID().String(), TraceState: s.SpanContext().TraceState().String(),
			Name: s.Name(), Kind: int(s.SpanKind()), // the SDK numbers kinds like the protocol
			Start: strconv.FormatInt(s.StartTime().UnixNano(), 10), End: strconv.FormatInt(s.EndTime().UnixNano(), 10),
			Attributes: keyValues(s.Attributes()),
		}
		if s.Parent().SpanID().IsValid() {
			out.ParentSpanID = s.Parent().SpanID().String()
		}
		if s.Status().Code == 1 { // codes.Error, which is 2 in the protocol
			out.Status.Code = 2
		}
		scope.Spans = append(scope.Spans, out)
	}
	return request{[]resourceSpans{{attributes{keyValues(spans[0].Resource().Attributes())}, []scopeSpans{scope}}}}
}

func keyValues(from []attribute.KeyValue) (to []keyValue) {
	for _, a := range from {
		text := a.Value.String()
		if a.Value.Type() == attribute.INT64 {
			to = append(to, keyValue{string(a.Key), value{Int: &text}})
		} else {
			to = append(to, keyValue{string(a.Key), value{String: &text}})
		}
	}
	return to
}
