//go:build linux

package main

import (
	"fmt"
	"io"
)

// figure is a value with a bound, usually ours as a multiple of the loop's in the same run.
type figure struct {
	what          string
	value, atMost float64
	unit          string
}

func (f figure) missed() bool { return f.value > f.atMost }

// bound records a figure and the most that it may be.
func (r *report) bound(what string, value, atMost float64, unit string) {
	r.figures = append(r.figures, figure{what, value, atMost, unit})
}

// summary prints the figures that have bounds.
func (r *report) summary(w io.Writer) {
	if len(r.figures) == 0 {
		return
	}
	fmt.Fprintf(w, "\nfigure\tis\tat most\t\n")
	for _, f := range r.figures {
		missed := ""
		if f.missed() {
			missed = "missed"
		}
		fmt.Fprintf(w, "%s\t%.2f%s\t%g%s\t%s\n", f.what, f.value, f.unit, f.atMost, f.unit, missed)
	}
}

// missed returns how many figures are above their bounds.
func (r *report) missed() (n int) {
	for _, f := range r.figures {
		if f.missed() {
			n++
		}
	}
	return n
}
