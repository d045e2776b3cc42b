// Package metrics exports a node's metrics for Prometheus. Each value is counted by its owner; this package collects
// them when it is scraped. It queries no database and no other node, so that a scrape wakes nobody.
package metrics

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tandem/api"
	"tandem/followers"
	"tandem/panics"
	"tandem/realtime"
	"tandem/valkey"
)

// Sources are the functions that return values. Each is called from several goroutines at once. Only Bus may be nil, if
// there is none.
type Sources struct {
	Hub          func() realtime.Stats
	API          func() api.Counts
	Followers    func() []followers.Stat
	Bus          func() valkey.Stats
	Reads        func() uint64 // of the database
	Waiting      func() int    // writes
	FilesRemoved func() uint64
	Awake        func() bool
}

// Metrics holds a node's metrics.
type Metrics struct {
	registry *prometheus.Registry
	commits  prometheus.Histogram
	writes   prometheus.Histogram
	failed   prometheus.Counter
	latency  prometheus.Histogram
}

// New returns Metrics without Sources.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tandem_commit_seconds", Help: "How long the transactions of the log's writer took, from the first statement to the commit's answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}),
		writes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tandem_commit_writes", Help: "How many writes went into one transaction of the log's writer, posts among them.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tandem_commit_failures_total", Help: "Writes that failed, or whose outcome is unknown; their callers got 503.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tandem_post_delivery_seconds", Help: "How long after it was posted an event was handed to a stream that was open by then. " +
				"One in 16 deliveries is measured, by the clocks of both nodes; slow readers are among them.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	m.registry.MustRegister(m.commits, m.writes, m.failed, m.latency,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Committed is for store.Config.Measured.
func (m *Metrics) Committed(writes int, took time.Duration, failed int) {
	m.commits.Observe(took.Seconds())
	m.writes.Observe(float64(writes))
	m.failed.Add(float64(failed))
}

// Latency is for realtime.Config.Latency.
func (m *Metrics) Latency(after time.Duration) { m.latency.Observe(after.Seconds()) }

// Handler serves the metrics at /metrics. Call it once.
func (m *Metrics) Handler(s Sources, logger *slog.Logger) http.Handler {
	for where, of := range map[string]group{
		"the hub's":      hubMetrics(s),
		"the API's":      apiMetrics(s),
		"the followers'": followerMetrics(s),
		"the bus's":      busMetrics(s),
		"the node's":     nodeMetrics(s),
	} {
		m.registry.MustRegister(collector{where, of, logger})
	}
	mux := http.NewServeMux()
	// A scraper does not need more at once.
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	return mux
}

// group collects metrics that come from one source.
type group func(to chan<- prometheus.Metric)

// collector makes a group a prometheus.Collector.
type collector struct {
	where   string
	collect group
	logger  *slog.Logger
}

// Describe implements prometheus.Collector. It describes nothing, which makes the collector unchecked.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	defer panics.Catch(c.logger, "collecting "+c.where+" metrics") // the registry calls this in its own goroutine
	c.collect(to)
}
