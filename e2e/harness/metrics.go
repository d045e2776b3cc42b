package harness

import (
	"net/http"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Figures holds the metrics of /metrics by name.
type Figures map[string]*dto.MetricFamily

// Scrape reads a program's /metrics, as Prometheus does.
func (p *Program) Scrape(t *testing.T) Figures {
	t.Helper()
	answer, err := http.Get("http://" + p.Running.MetricsAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("/metrics answered %d: %v", answer.StatusCode, err)
	}
	return found
}

// Value returns a metric's value or a histogram's count, or -1 if there is no such metric. labels are pairs of a name and a
// value.
func (f Figures) Value(name string, labels ...string) float64 {
	for _, m := range f[name].GetMetric() {
		if !hasLabels(m, labels) {
			continue
		}
		switch {
		case m.Histogram != nil:
			return float64(m.Histogram.GetSampleCount())
		case m.Counter != nil:
			return m.Counter.GetValue()
		default:
			return m.GetGauge().GetValue()
		}
	}
	return -1
}

func hasLabels(m *dto.Metric, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		found := false
		for _, l := range m.GetLabel() {
			found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}
