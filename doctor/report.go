package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"tandem/terminal"
)

// Verdict is the outcome of a check.
type Verdict string

// The verdicts.
const (
	Good    Verdict = "good"
	Note    Verdict = "note"    // worth knowing, but users do not notice
	Trouble Verdict = "trouble" // users notice
	Unknown Verdict = "unknown" // could not be checked
)

// Result is one line of the report.
type Result struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"result"`
	Detail  string  `json:"detail"`
	Advice  string  `json:"advice,omitempty"`
	// For transports, in milliseconds.
	FirstEvent int64 `json:"first_event_ms,omitempty"`
	Delivery   int64 `json:"delivery_ms,omitempty"`
}

// Report has all results, in the order of the checks.
type Report struct {
	URL     string   `json:"url"`
	Results []Result `json:"results"`
}

func (r *Report) add(check string, v Verdict, detail, advice string) {
	r.Results = append(r.Results, Result{Check: check, Verdict: v, Detail: detail, Advice: advice})
}

// Status returns the exit status: 0 if all is good, 1 for problems, 2 for no problems with unknown results.
func (r *Report) Status() int {
	status := 0
	for _, result := range r.Results {
		switch result.Verdict {
		case Trouble:
			return 1
		case Unknown:
			status = 2
		}
	}
	return status
}

// json writes the report as one object.
func (r *Report) json(to io.Writer) error {
	out := json.NewEncoder(to)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(struct {
		*Report
		Status int `json:"status"`
	}{r, r.Status()})
}

var words = map[Verdict]string{Good: "good   ", Note: "note   ", Trouble: "TROUBLE", Unknown: "unknown"}
var colours = map[Verdict]string{Good: "32", Note: "36", Trouble: "1;31", Unknown: "33"}

// text writes the report as a table, with advice under its lines.
func (r *Report) text(to io.Writer, colour bool) error {
	var b strings.Builder
	width := 0
	for _, result := range r.Results {
		width = max(width, len(result.Check))
	}
	for _, result := range r.Results {
		word := words[result.Verdict]
		if colour {
			word = "\x1b[" + colours[result.Verdict] + "m" + word + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s  %-*s  %s\n", word, width, result.Check, terminal.Plain(result.Detail))
		if result.Advice != "" {
			for line := range strings.SplitSeq(wrap(terminal.Plain(result.Advice), 88), "\n") {
				fmt.Fprintf(&b, "%*s  %s\n", 9+width, "", line)
			}
		}
	}
	if r.Status() == 0 {
		b.WriteString("\nAll is good.\n")
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// wrap wraps a text into lines of at most most bytes.
func wrap(text string, most int) string {
	var b strings.Builder
	n := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i > 0 && n+1+len(word) > most:
			b.WriteByte('\n')
			n = 0
		case i > 0:
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += len(word)
	}
	return b.String()
}
