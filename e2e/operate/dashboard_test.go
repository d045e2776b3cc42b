package operate

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v3"

	"tandem/e2e/harness"
	"tandem/program"
	"tandem/testservers"
)

const (
	alertRules = "deploy/prometheus/tandem.rules.yaml"
	dashboard  = "deploy/grafana/tandem.json"
)

// queries returns the queries of the alert rules and the dashboard by where they are.
func queries(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if text, err := os.ReadFile(alertRules); err != nil {
		t.Fatal(err)
	} else if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			found["the alert "+r.Alert] = r.Expr
		}
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
	}
	if text, err := os.ReadFile(dashboard); err != nil {
		t.Fatal(err)
	} else if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	// Values that Grafana would substitute for its variables.
	variables := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*")
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			found["the panel "+p.Title+", "+target.RefID] = variables.Replace(target.Expr)
		}
	}
	return found
}

// Every query of the dashboard and the alert rules uses only metrics, labels and label values that a running program
// has.
func TestDashboardAndAlertsNameExistingMetrics(t *testing.T) {
	t.Parallel()
	nodes := harness.StartNodes(t, 2, testservers.NewValkey(t), harness.WithMetrics, func(cfg *program.Settings) { cfg.LimitLogins = 10 })
	var now harness.Figures
	harness.Eventually(t, "/metrics has every follower", func() bool {
		now = nodes[0].Scrape(t)
		return now.Value("tandem_followers", "kind", "words") == 1
	})
	fromPrometheus := []string{"instance", "job"}
	asked := make(map[string]bool)
	for where, query := range queries(t) {
		e, err := metricsql.Parse(query)
		if err != nil {
			t.Errorf("%s: %s: %v", where, query, err)
			continue
		}
		known := slices.Clone(fromPrometheus) // the labels of the query's metrics
		var grouped []string
		metricsql.VisitAll(e, func(e metricsql.Expr) {
			switch e := e.(type) {
			case *metricsql.AggrFuncExpr:
				grouped = append(grouped, e.Modifier.Args...)
			case *metricsql.BinaryOpExpr:
				grouped = append(grouped, e.GroupModifier.Args...)
			case *metricsql.MetricExpr:
				for _, filters := range e.LabelFilterss {
					name := filters[0].Value
					asked[name] = true
					if name == "up" { // Prometheus's own
						continue
					}
					labels, there := now.LabelsOf(name)
					if !there {
						t.Errorf("%s: no metric %s at /metrics", where, name)
						continue
					}
					known = append(known, labels...)
					for _, f := range filters[1:] {
						if slices.Contains(fromPrometheus, f.Label) {
							continue
						}
						for value := range strings.SplitSeq(f.Value, "|") {
							if !slices.Contains(labels, f.Label) || now.Value(name, f.Label, value) < 0 {
								t.Errorf("%s: %s has no %s=%q", where, name, f.Label, value)
							}
						}
					}
				}
			}
		})
		for _, label := range grouped {
			if !slices.Contains(known, label) {
				t.Errorf("%s: grouped by %s, which none of its metrics has", where, label)
			}
		}
	}
	for name := range now {
		if strings.HasPrefix(name, "tandem_") && !asked[name] && !asked[name+"_bucket"] && !asked[name+"_sum"] {
			t.Errorf("%s is shown in no panel", name)
		}
	}
}

// promtool accepts the alert rules.
func TestAlertRulesFitPrometheus(t *testing.T) {
	t.Parallel()
	tool := testservers.NeedProgram(t, "promtool")
	if out, err := exec.Command(tool, "check", "rules", alertRules).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
