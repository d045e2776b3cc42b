package inlets

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxAlerts is how many alerts of a group a message lists.
const maxAlerts = 10

// alertGroup is what Alertmanager sends (version 4), and Grafana, with a few more fields.
type alertGroup struct {
	Status            string            `json:"status"`
	Alerts            []alert           `json:"alerts"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
}

type alert struct {
	Status       string             `json:"status"`
	Labels       map[string]string  `json:"labels"`
	Annotations  map[string]string  `json:"annotations"`
	GeneratorURL string             `json:"generatorURL"`
	DashboardURL string             `json:"dashboardURL"` // Grafana's, like the following
	PanelURL     string             `json:"panelURL"`
	Values       map[string]float64 `json:"values"`
}

func alerts(body []byte) (string, error) {
	var g alertGroup
	if json.Unmarshal(body, &g) != nil || g.Status == "" || len(g.Alerts) == 0 {
		return "", ErrNotUnderstood
	}
	name := firstOf(g.CommonLabels["alertname"], g.GroupLabels["alertname"])
	lines := []string{g.heading(name)}
	for i, a := range g.Alerts {
		if i == maxAlerts {
			break
		}
		lines = append(lines, a.line(g, name))
	}
	if more := len(g.Alerts) - maxAlerts; more > 0 || g.TruncatedAlerts > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more", max(more, 0)+g.TruncatedAlerts))
	}
	return paragraphs(append(lines, g.link())...), nil
}

// heading is as in "[FIRING: 2] InstanceDown (critical)".
func (g *alertGroup) heading(name string) string {
	firing := 0
	for _, a := range g.Alerts {
		if a.Status != "resolved" {
			firing++
		}
	}
	state := "RESOLVED"
	switch {
	case firing == len(g.Alerts):
		state = fmt.Sprintf("%s: %d", strings.ToUpper(g.Status), firing+g.TruncatedAlerts)
	case firing > 0:
		state = fmt.Sprintf("FIRING: %d, RESOLVED: %d", firing, len(g.Alerts)-firing)
	}
	if name == "" {
		name = labels(g.GroupLabels, nil, "")
	}
	if severity := g.CommonLabels["severity"]; severity != "" {
		name += " (" + severity + ")"
	}
	return line("["+state+"] "+name, 300)
}

// line describes an alert: what it says, and what distinguishes it in its group.
func (a *alert) line(g alertGroup, name string) string {
	said := ""
	for _, key := range []string{"summary", "message", "description"} {
		if said = line(a.Annotations[key], 300); said != "" {
			break
		}
	}
	own := labels(a.Labels, g.CommonLabels, said)
	text := said
	switch {
	case said == "" && own == "":
		text = labels(a.Labels, map[string]string{"alertname": name}, "")
	case said == "":
		text = own
	case own != "":
		text += " (" + own + ")"
	}
	if values := a.values(); values != "" {
		text += " [" + values + "]"
	}
	if a.Status == "resolved" && g.Status != "resolved" {
		text = "resolved: " + text
	}
	return "- " + text
}

func (a *alert) values() string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(a.Values)) {
		parts = append(parts, key+"="+strconv.FormatFloat(a.Values[key], 'g', 5, 64))
	}
	return line(strings.Join(parts, " "), 100)
}

// labels returns the labels that are not in common, and whose values are not in said, by name.
func labels(all, common map[string]string, said string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		// Labels that start with two underscores are for programs.
		if _, same := common[key]; !same && !strings.HasPrefix(key, "__") && key != "grafana_folder" && (said == "" || !strings.Contains(said, all[key])) {
			parts = append(parts, key+"="+all[key])
		}
	}
	return line(strings.Join(parts, " "), 200)
}

// link leads to where the alerts can be viewed.
func (g *alertGroup) link() string {
	for _, url := range []string{g.Alerts[0].PanelURL, g.Alerts[0].DashboardURL, g.Alerts[0].GeneratorURL, g.ExternalURL} {
		if strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://") { // Grafana's test only has a query
			return url
		}
	}
	return ""
}

// legacyGrafana is what Grafana sent up to version 8.
func legacyGrafana(body []byte) (string, error) {
	var g struct {
		Title       string `json:"title"`
		RuleName    string `json:"ruleName"`
		State       string `json:"state"`
		Message     string `json:"message"`
		RuleURL     string `json:"ruleUrl"`
		EvalMatches []struct {
			Metric string   `json:"metric"`
			Value  *float64 `json:"value"`
		} `json:"evalMatches"`
	}
	if json.Unmarshal(body, &g) != nil {
		return "", ErrNotUnderstood
	}
	title := g.Title
	if title == "" {
		title = "[" + strings.ToUpper(g.State) + "] " + g.RuleName
	}
	lines := []string{line(title, 300), g.Message}
	for i, m := range g.EvalMatches {
		if i == maxAlerts {
			break
		}
		value := "no value"
		if m.Value != nil {
			value = strconv.FormatFloat(*m.Value, 'g', 5, 64)
		}
		lines = append(lines, "- "+line(m.Metric, 200)+": "+value)
	}
	return paragraphs(append(lines, g.RuleURL)...), nil
}
