// Package traces follows posts with OpenTelemetry: from the call through the commit and the publication to the delivery on
// each node. It is used only if OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise the Tracer is nil and not called.
//
// The SDK's batch processor sends the spans. Close ends its goroutine.
package traces

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracer creates spans. Its methods may be called concurrently.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	node     string

	mu         sync.Mutex
	committed  map[int64]string // traceparents of commits that are about to be published
	deliveries map[int64]*delivery
}

// delivery is an event that has reached this node and is being delivered to streams.
type delivery struct {
	parent string
	came   time.Time
	last   time.Time // when it was last handed to a stream
	handed int
}

// handedWithin is the time after an event's arrival in which deliveries count.
const handedWithin = time.Second

// New returns a Tracer that sends to the endpoint in getenv, configured by the OpenTelemetry specification's variables;
// nil without an endpoint. node distinguishes the nodes of an installation.
func New(ctx context.Context, node string, getenv func(string) string, logger *slog.Logger) (*Tracer, error) {
	e, err := newExporter(getenv, logger)
	if e == nil || err != nil {
		return nil, err
	}
	of, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "tandem"), attribute.String("service.instance.id", node)),
		resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(e), sdktrace.WithResource(of)) // OTEL_TRACES_SAMPLER chooses the sampler
	return &Tracer{
		provider: p, tracer: p.Tracer("tandem"), node: node,
		committed: make(map[int64]string), deliveries: make(map[int64]*delivery),
	}, nil
}

// Close sends the remaining spans.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	left := t.deliveries
	t.deliveries = make(map[int64]*delivery)
	t.mu.Unlock()
	for id, d := range left {
		t.end(id, d)
	}
	return t.provider.Shutdown(ctx)
}

var w3c propagation.TraceContext

// Start starts the span of a call, in the caller's trace if it names one. Call end with the response's status.
func (t *Tracer) Start(ctx context.Context, name string, h http.Header) (_ context.Context, end func(status int)) {
	ctx = w3c.Extract(ctx, propagation.HeaderCarrier(h))
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(status int) {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Parent returns the traceparent of ctx; "" if it is not traced.
func (t *Tracer) Parent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	w3c.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

func under(parent string) context.Context {
	return w3c.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent})
}

// Committed records the span of the transaction that committed an event, possibly with others.
func (t *Tracer) Committed(id int64, parent string, began time.Time, took time.Duration, writes int) {
	ctx, span := t.tracer.Start(under(parent), "commit", trace.WithTimestamp(began),
		trace.WithAttributes(attribute.Int64("tandem.event.id", id), attribute.Int("tandem.commit.writes", writes)))
	span.End(trace.WithTimestamp(began.Add(took)))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.committed[id] = t.Parent(ctx)
}

// Publish records the spans of a publication. It calls publish with the traceparents to send along; nil for none.
func (t *Tracer) Publish(publish func(parents map[int64]string)) {
	t.mu.Lock()
	found := t.committed
	t.committed = make(map[int64]string)
	t.mu.Unlock()
	if len(found) == 0 {
		publish(nil)
		return
	}
	parents := make(map[int64]string, len(found))
	spans := make([]trace.Span, 0, len(found))
	for id, parent := range found {
		ctx, span := t.tracer.Start(under(parent), "publish", trace.WithSpanKind(trace.SpanKindProducer),
			trace.WithAttributes(attribute.Int64("tandem.event.id", id)))
		parents[id] = t.Parent(ctx)
		spans = append(spans, span)
	}
	publish(parents)
	for _, span := range spans {
		span.End()
	}
}

// Came is called when an event with that traceparent has reached this node, before it is handed to streams. The span of
// its delivery lasts until the last stream gets it, or is empty if none does within a second.
func (t *Tracer) Came(id int64, parent string) {
	now := time.Now()
	d := &delivery{parent: parent, came: now, last: now}
	t.mu.Lock()
	t.deliveries[id] = d
	t.mu.Unlock()
	time.AfterFunc(handedWithin, func() {
		t.mu.Lock()
		due := t.deliveries[id] == d
		if due {
			delete(t.deliveries, id)
		}
		t.mu.Unlock()
		if due {
			t.end(id, d)
		}
	})
}

// Handed is called when an event is handed to a stream.
func (t *Tracer) Handed(id int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.deliveries[id]; d != nil {
		d.handed++
		d.last = time.Now()
	}
}

func (t *Tracer) end(id int64, d *delivery) {
	_, span := t.tracer.Start(under(d.parent), "delivery", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(d.came),
		trace.WithAttributes(attribute.Int64("tandem.event.id", id), attribute.Int("tandem.streams", d.handed)))
	span.End(trace.WithTimestamp(d.last))
}
