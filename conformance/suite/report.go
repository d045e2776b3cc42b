package suite

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// columnREST is the column for scenarios without a stream.
const columnREST = "REST"

// Outcome is the outcome of a scenario over a transport.
type Outcome string

// The outcomes.
const (
	Passed Outcome = "✓"
	Failed Outcome = "✗"
	Lacked Outcome = "–" // could not be tested; the report says why
	NoneOf Outcome = "·" // does not apply to that transport
)

// Report is a table of scenarios and transports.
type Report struct {
	mu       sync.Mutex
	columns  []string
	rows     []string // in order of appearance
	cells    map[cell]Outcome
	switched map[cell][2]int // passed and tested, by the first transport
	reasons  []Reason
}

type cell struct{ scenario, column string }

// Reason explains an outcome other than Passed.
type Reason struct {
	Scenario, Transport string
	Switch              string // such as "ws → sse"; "" for none
	Outcome             Outcome
	Text                string
}

func newReport(columns []string) *Report {
	return &Report{columns: columns, cells: map[cell]Outcome{}, switched: map[cell][2]int{}}
}

// Outcome returns the outcome of a scenario over a transport, including switches.
func (r *Report) Outcome(scenario, transport string) Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := cell{scenario, transport}
	if s := r.switched[c]; s[0] < s[1] {
		return Failed
	}
	if o, ok := r.cells[c]; ok {
		return o
	}
	return NoneOf
}

// Failed reports whether anything failed.
func (r *Report) Failed() bool { return len(r.Reasons(Failed)) > 0 }

// Reasons returns the reasons for one outcome.
func (r *Report) Reasons(of Outcome) []Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.reasons), func(why Reason) bool { return why.Outcome != of })
}

// Scenarios returns the names of everything tested, or that could not be.
func (r *Report) Scenarios() []string { return r.rows }

// Transports returns the names of the columns.
func (r *Report) Transports() []string { return r.columns }

func (r *Report) row(name string) {
	if !slices.Contains(r.rows, name) {
		r.rows = append(r.rows, name)
	}
}

func (r *Report) lacks(s *Scenario, column, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row(s.Name)
	r.cells[cell{s.Name, column}] = Lacked
	r.reasons = append(r.reasons, Reason{Scenario: s.Name, Transport: column, Outcome: Lacked, Text: why})
}

func (r *Report) tried(s *Scenario, column, label string, failures []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row(s.Name)
	c := cell{s.Name, column}
	outcome := Passed
	if len(failures) > 0 {
		outcome = Failed
		r.reasons = append(r.reasons, Reason{s.Name, column, label, Failed, strings.Join(failures, "\n")})
	}
	if label == "" {
		r.cells[c] = outcome
		return
	}
	n := r.switched[c]
	if n[1]++; outcome == Passed {
		n[0]++
	}
	r.switched[c] = n
}

// Print writes the table and then the reasons.
func (r *Report) Print(to io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = slices.DeleteFunc(Scenarios(), func(name string) bool { return !slices.Contains(r.rows, name) })
	wide := 0
	for _, name := range r.rows {
		wide = max(wide, utf8.RuneCountInString(name))
	}
	r.table(to, "scenario", wide, func(c cell) string {
		if o, ok := r.cells[c]; ok {
			return string(o)
		}
		return string(NoneOf)
	})
	if len(r.switched) > 0 {
		fmt.Fprintf(to, "\nWith a switch to every other transport in the middle, from:\n\n")
		r.table(to, "scenario", wide, func(c cell) string {
			n, ok := r.switched[c]
			switch {
			case !ok:
				return ""
			case n[0] == n[1]:
				return fmt.Sprintf("%s %d", Passed, n[1])
			default:
				return fmt.Sprintf("%s %d/%d", Failed, n[1]-n[0], n[1])
			}
		})
	}
	missing := map[string][]string{}
	for _, why := range r.reasons {
		where := why.Transport
		if why.Switch != "" {
			where = why.Switch
		}
		switch {
		case why.Outcome == Failed:
			fmt.Fprintf(to, "\n%s %s, %s: %s\n", Failed, why.Scenario, where, strings.ReplaceAll(why.Text, "\n", "\n    "))
		case !slices.Contains(missing[why.Text], why.Scenario):
			missing[why.Text] = append(missing[why.Text], why.Scenario)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintln(to)
	}
	for _, text := range slices.Sorted(maps.Keys(missing)) {
		fmt.Fprintf(to, "%s %s: %s\n", Lacked, text, strings.Join(missing[text], "; "))
	}
}

// table prints the value of at for each row and column. Empty rows are left out.
func (r *Report) table(to io.Writer, head string, wide int, at func(cell) string) {
	line := func(first string, rest []string) {
		b := pad(first, wide)
		for i, text := range rest {
			b += "  " + pad(text, max(6, utf8.RuneCountInString(r.columns[i])))
		}
		fmt.Fprintln(to, strings.TrimRight(b, " "))
	}
	line(head, r.columns)
	for _, name := range r.rows {
		var texts []string
		empty := true
		for _, column := range r.columns {
			text := at(cell{name, column})
			texts = append(texts, text)
			empty = empty && text == ""
		}
		if !empty {
			line(name, texts)
		}
	}
}

func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(text)))
}
