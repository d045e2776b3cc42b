package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"tandem/panics"
)

// gauge and counter return functions that emit one metric, given its value and label values.
func gauge(name, help string, labels ...string) func(to chan<- prometheus.Metric, value float64, of ...string) {
	return figure(prometheus.GaugeValue, name, help, labels)
}

func counter(name, help string, labels ...string) func(to chan<- prometheus.Metric, value float64, of ...string) {
	return figure(prometheus.CounterValue, name, help, labels)
}

func figure(kind prometheus.ValueType, name, help string, labels []string) func(to chan<- prometheus.Metric, value float64, of ...string) {
	desc := prometheus.NewDesc("tandem_"+name, help, labels, nil)
	return func(to chan<- prometheus.Metric, value float64, of ...string) {
		to <- prometheus.MustNewConstMetric(desc, kind, value, of...)
	}
}

var (
	streams    = gauge("streams", "Open streams by transport.", "transport")
	opened     = counter("streams_opened_total", "Streams opened since the start, by transport.", "transport")
	refused    = counter("streams_refused_total", "Streams refused since the start because the process was near its memory limit.")
	online     = gauge("users_online", "Users with a stream open, on any node.")
	posts      = counter("messages_total", "Messages that came into the log since the start, from any node.")
	deliveries = counter("deliveries_total", "Events written to streams since the start.")
	head       = gauge("log_head", "The id of the latest event that this process knows.")
	caughtUp   = counter("log_caught_up_total", "Events that this process read from the log because no bus delivered them.")
	catchUps   = counter("log_catch_ups_total", "Times that this process found itself behind the log's head and read the log.")
	gaps       = counter("log_gaps_total", "Holes in the ids that did not close within 10 ms, so that the log was read.")
	logReads   = counter("stream_log_reads_total", "Reads of the log for streams that came back for more than the ring has, or fell behind it.")
	ringBytes  = gauge("ring_bytes", "Memory that the ring of recent events takes.")
	ringLimit  = gauge("ring_limit_bytes", "Memory that the ring of recent events may take (ring-bytes).")
	ringEvents = gauge("ring_events", "Recent events in the ring.")
	topics     = gauge("topics", "Rooms and inboxes that this process holds something of.")
	nodes      = gauge("nodes", "Nodes that say who is present, this one included.")
)

func hubMetrics(s Sources) group {
	return func(to chan<- prometheus.Metric) {
		now := s.Hub()
		for transport, n := range now.Streams {
			streams(to, float64(n), transport)
		}
		for transport, n := range now.Opened {
			opened(to, float64(n), transport)
		}
		refused(to, float64(now.Refused))
		online(to, float64(now.Online))
		posts(to, float64(now.Posts))
		deliveries(to, float64(now.Deliveries))
		head(to, float64(now.Head))
		caughtUp(to, float64(now.CaughtUp))
		catchUps(to, float64(now.CatchUps))
		gaps(to, float64(now.Gaps))
		logReads(to, float64(now.LogReads))
		ringBytes(to, float64(now.RingBytes))
		ringLimit(to, float64(now.RingLimit))
		ringEvents(to, float64(now.RingEvents))
		topics(to, float64(now.Topics))
		nodes(to, float64(now.Nodes+1))
	}
}

var (
	requests  = counter("requests_total", "Requests answered since the start, by class of status; commands over WebSockets are among them.", "class")
	problems  = counter("problems_total", "Answers since the start that are problems, by code.", "code")
	limited   = counter("limited_total", "Calls that a limit refused since the start, by the limit's name.", "limit")
	uploads   = counter("files_uploaded_total", "Files uploaded to this process since the start.")
	uploaded  = counter("files_uploaded_bytes_total", "Bytes of them.")
	downloads = counter("files_served_total", "Files and previews that this process served since the start.")
)

func apiMetrics(s Sources) group {
	return func(to chan<- prometheus.Metric) {
		now := s.API()
		for class, n := range now.Answers {
			requests(to, float64(n), class)
		}
		for code, n := range now.Problems {
			problems(to, float64(n), code)
		}
		for name, n := range now.Limited {
			limited(to, float64(n), name)
		}
		uploads(to, float64(now.Uploads))
		uploaded(to, float64(now.UploadedBytes))
		downloads(to, float64(now.Downloads))
	}
}

var (
	followersRun     = gauge("followers", "Followers of the log that this process runs, such as hooks, by kind.", "kind")
	followersFailing = gauge("followers_failing", "Followers whose last try failed, by kind.", "kind")
	followersLag     = gauge("followers_lag_events", "Events that the slowest follower of a kind has not handled yet, by kind.", "kind")
)

// followerMetrics are by kind, since a site may have a thousand hooks.
func followerMetrics(s Sources) group {
	type sum struct{ run, failing, lag float64 }
	return func(to chan<- prometheus.Metric) {
		kinds := make(map[string]*sum)
		for _, f := range s.Followers() {
			kind, _, _ := strings.Cut(f.Name, ":")
			if kinds[kind] == nil {
				kinds[kind] = new(sum)
			}
			of := kinds[kind]
			of.run++
			if f.Failures > 0 {
				of.failing++
			}
			of.lag = max(of.lag, float64(f.Lag))
		}
		for kind, of := range kinds {
			followersRun(to, of.run, kind)
			followersFailing(to, of.failing, kind)
			followersLag(to, of.lag, kind)
		}
	}
}

var (
	busConnected = gauge("bus_connected", "1 while there is a connection to Valkey, else 0; a node that sleeps has none. Absent without valkey-url, as are those below.")
	busSent      = counter("bus_sent_total", "Messages sent to the other nodes since the start.")
	busReceived  = counter("bus_received_total", "Messages received from other nodes since the start.")
	busFailed    = counter("bus_failures_total", "Messages that could not be sent since the start; the other nodes read the log instead.")
	busDropped   = counter("bus_dropped_total", "Messages that were dropped since the start because too many waited to be sent.")
	busForged    = counter("bus_forged_total", "Messages since the start whose signature was wrong: nodes with another jwt-secret, or an intruder.")
)

func busMetrics(s Sources) group {
	return func(to chan<- prometheus.Metric) {
		if s.Bus == nil {
			return
		}
		now := s.Bus()
		busConnected(to, oneIf(now.Connected))
		busSent(to, float64(now.Sent))
		busReceived(to, float64(now.Received))
		busFailed(to, float64(now.Failed))
		busDropped(to, float64(now.Dropped))
		busForged(to, float64(now.Forged))
	}
}

var (
	reads        = counter("database_reads_total", "Database reads since the start, except those within writes.")
	waiting      = gauge("writes_waiting", "Writes that wait for the log's writer now.")
	filesRemoved = counter("files_removed_total", "Files whose bytes this process removed since the start, because they were deleted.")
	panicked     = counter("panics_total", "Panics that cost a request, a stream or a step. Each is a bug; the log has its stack.")
	awake        = gauge("awake", "1 while somebody needs this node, 0 while it sleeps: without streams and requests it asks nothing of the database and Valkey.")
)

func nodeMetrics(s Sources) group {
	return func(to chan<- prometheus.Metric) {
		reads(to, float64(s.Reads()))
		waiting(to, float64(s.Waiting()))
		filesRemoved(to, float64(s.FilesRemoved()))
		panicked(to, float64(panics.Total()))
		awake(to, oneIf(s.Awake()))
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
