//go:build linux

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// report collects the figures and the failures.
type report struct {
	sections []*section
	failures []string
	figures  []figure      // those with bounds
	perPost  time.Duration // server CPU of one post without readers; 0 until measured
}

// section is a table of figures. The first column says what was measured.
type section struct {
	heads []string
	rows  [][]string
}

func (r *report) section(heads ...string) *section {
	s := &section{heads: heads}
	r.sections = append(r.sections, s)
	return s
}

// add prints a row at once, as one line, and keeps it for the table.
func (s *section) add(cells ...string) {
	progress("%s:", cells[0])
	for i, c := range cells[1:] {
		progress("  %s %s", s.heads[i+1], c)
	}
	progress("\n")
	s.rows = append(s.rows, cells)
}

func (r *report) fail(format string, a ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, a...))
}

// progress prints to stderr, so that stdout starts with the summary.
func progress(format string, a ...any) { fmt.Fprintf(os.Stderr, format, a...) }

// tables prints all figures to stdout, the summary first.
func (r *report) tables() {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	r.summary(w)
	for _, s := range r.sections {
		fmt.Fprintf(w, "\n%s\n", strings.Join(s.heads, "\t"))
		for _, row := range s.rows {
			fmt.Fprintln(w, strings.Join(row, "\t"))
		}
	}
	w.Flush()
}

// percentile returns the smallest of v that p (0 to 1) of them do not exceed. It sorts v.
func percentile(v []int32, p float64) time.Duration {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return time.Duration(v[min(len(v)-1, int(p*float64(len(v))))]) * time.Microsecond
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

// micros formats d in µs with a useful number of digits.
func micros(d float64) string {
	if d < 20e3 {
		return fmt.Sprintf("%.2f µs", d/1e3)
	}
	return fmt.Sprintf("%.0f µs", d/1e3)
}

// thousands formats 1234567 as 1,234,567.
func thousands[T int | int64 | float64](n T) string {
	s := fmt.Sprintf("%.0f", float64(n))
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ownCPU returns the processor time that this process has used.
func ownCPU() time.Duration { return used(syscall.RUSAGE_SELF) }

func used(who int) time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(who, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// othersCPU returns the processor time that other programs have used since boot, with an offset: only the difference of
// two calls is meaningful, with no child running.
func othersCPU() time.Duration {
	b, _ := os.ReadFile("/proc/stat")
	var user, nice, system int64 // proc(5): the first fields of the line for all processors, in USER_HZ
	fmt.Sscanf(string(b), "cpu %d %d %d", &user, &nice, &system)
	return time.Duration(user+nice+system)*(time.Second/userHZ) - used(syscall.RUSAGE_SELF) - used(syscall.RUSAGE_CHILDREN)
}
