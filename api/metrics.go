package api

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tandem/panics"
	"tandem/realtime"
)

// Metrics serves the figures of a hub and of the process to Prometheus, at /metrics. reads counts reads of the database.
func Metrics(hub *realtime.Hub, reads func() uint64, logger *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(hubMetrics{hub, logger}, prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "tandem_database_reads_total", Help: "Reads of the database since the start, but for those within its writes.",
	}, func() float64 { return float64(reads()) }), prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "tandem_panics_total", Help: "Panics that cost a request, a stream or a step. Each is a bug; the log has its stack.",
	}, func() float64 { return float64(panics.Total()) }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	// More at once would be somebody who does not want figures.
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	return mux
}

// hubMetrics asks the hub when it is asked: what is counted is counted once.
type hubMetrics struct {
	hub    *realtime.Hub
	logger *slog.Logger
}

var (
	streamsMetric    = prometheus.NewDesc("tandem_streams", "Open streams by transport.", []string{"transport"}, nil)
	onlineMetric     = prometheus.NewDesc("tandem_users_online", "Users with a stream open.", nil, nil)
	postsMetric      = prometheus.NewDesc("tandem_messages_total", "Messages that came into the log since the start.", nil, nil)
	deliveriesMetric = prometheus.NewDesc("tandem_deliveries_total", "Events that were put into streams since the start.", nil, nil)
	caughtUpMetric   = prometheus.NewDesc("tandem_log_caught_up_total", "Events that this process read from the log because nothing had brought them.", nil, nil)
	headMetric       = prometheus.NewDesc("tandem_log_head", "The id of the latest event that this process has seen.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m hubMetrics) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, to) }

// Collect implements prometheus.Collector.
func (m hubMetrics) Collect(to chan<- prometheus.Metric) {
	defer panics.Catch(m.logger, "collecting metrics") // the registry calls this in a goroutine of its own
	now := m.hub.Stats()
	for transport, n := range now.Streams {
		to <- prometheus.MustNewConstMetric(streamsMetric, prometheus.GaugeValue, float64(n), transport)
	}
	to <- prometheus.MustNewConstMetric(onlineMetric, prometheus.GaugeValue, float64(now.Online))
	to <- prometheus.MustNewConstMetric(postsMetric, prometheus.CounterValue, float64(now.Posts))
	to <- prometheus.MustNewConstMetric(deliveriesMetric, prometheus.CounterValue, float64(now.Deliveries))
	to <- prometheus.MustNewConstMetric(caughtUpMetric, prometheus.CounterValue, float64(now.CaughtUp))
	to <- prometheus.MustNewConstMetric(headMetric, prometheus.GaugeValue, float64(now.Head))
}
