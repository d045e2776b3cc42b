package harness

import (
	"strings"
)

// LabelsOf returns the labels of a metric in /metrics.
func (f Figures) LabelsOf(name string) (labels []string, there bool) {
	family, suffix := f[name], ""
	for _, s := range []string{"_bucket", "_sum", "_count"} {
		if base, is := strings.CutSuffix(name, s); is && family == nil {
			family, suffix = f[base], s
		}
	}
	if len(family.GetMetric()) == 0 {
		return nil, false
	}
	for _, l := range family.GetMetric()[0].GetLabel() {
		labels = append(labels, l.GetName())
	}
	if suffix == "_bucket" {
		labels = append(labels, "le")
	}
	return labels, true
}
