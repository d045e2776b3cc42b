//go:build linux

package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"regexp"
	"strconv"
)

// summaryRow is a line of the summary: name, value and bound.
var summaryRow = regexp.MustCompile(`^(\S.*?)\s{2,}([0-9.]+)\s{2,}([0-9.]+)\s*(missed)?\s*$`)

// plot draws the summary of a run as bars, each as a share of its bound: bench plot < OUTPUT > FILE.svg.
func plot(in io.Reader, out io.Writer) error {
	var figures []figure
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		m := summaryRow.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		value, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return err
		}
		atMost, err := strconv.ParseFloat(m[3], 64)
		if err != nil || atMost == 0 {
			return fmt.Errorf("a bound of %q", m[3])
		}
		figures = append(figures, figure{what: m[1], value: value, atMost: atMost})
	}
	if len(figures) == 0 {
		return fmt.Errorf("there is no summary in it")
	}
	const row, left, bound, most = 22, 630, 160, 2.4 // px; a bar that equals its bound; the longest bar, in bounds
	height := row*len(figures) + 40
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="1160" height="%d" font-family="sans-serif" font-size="12">`+"\n", height)
	fmt.Fprintf(out, `<rect width="1160" height="%d" fill="#fff"/>`+"\n", height)
	for i, f := range figures {
		y, color := 30+row*i, "#2a7a4b"
		if f.missed() {
			color = "#b3541e"
		}
		share := min(f.value/f.atMost, most)
		fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="end" fill="#222">%s</text>`+"\n", left-8, y+12, html.EscapeString(f.what))
		fmt.Fprintf(out, `<rect x="%d" y="%d" width="%.0f" height="16" fill="%s"/>`+"\n", left, y, share*bound, color)
		fmt.Fprintf(out, `<text x="%.0f" y="%d" fill="#222">%.2f of %g</text>`+"\n", left+share*bound+6, y+12, f.value, f.atMost)
	}
	fmt.Fprintf(out, `<path d="M%d 22V%d" stroke="#222" stroke-dasharray="3 3"/><text x="%d" y="16" text-anchor="middle" fill="#222">bound</text>`+"\n</svg>\n",
		left+bound, height-10, left+bound)
	return lines.Err()
}
