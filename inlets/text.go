package inlets

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// clean removes control characters, white space at the ends of lines, and repeated empty lines.
func clean(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return '\n'
		case r < ' ' && r != '\n' && r != '\t', r == 0x7f:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimRight(line, " \t")
		if line == "" && (len(lines) == 0 || lines[len(lines)-1] == "") {
			continue
		}
		lines = append(lines, line)
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// shorten cuts s to most characters at the end of a line or a word, and notes what is missing.
func shorten(s string, most int) string {
	n := utf8.RuneCountInString(s)
	if n <= most {
		return s
	}
	const room = 40 // for the note
	kept := firstRunes(s, most-room)
	// Not far back: a last word may be as long as a text.
	for _, at := range []int{strings.LastIndexByte(kept, '\n'), strings.LastIndexByte(kept, ' ')} {
		if at > len(kept)*3/4 {
			kept = kept[:at]
			break
		}
	}
	kept = strings.TrimRight(kept, " \n\t")
	return fmt.Sprintf("%s\n… (%d more characters)", kept, n-utf8.RuneCountInString(kept))
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// line returns s in one line of at most most characters.
func line(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return strings.TrimRight(firstRunes(s, most-1), " ") + "…"
}

// firstLine returns the first non-empty line of s.
func firstLine(s string, most int) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line(first, most)
}

// paragraphs joins the non-empty parts, each on its own line.
func paragraphs(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "\n")
}

// link returns a text followed by its address, unless they are the same.
func link(text, url string) string {
	text, url = strings.TrimSpace(text), strings.TrimSpace(url)
	switch {
	case text == "" || text == url:
		return url
	case url == "":
		return text
	case strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://"), "/") == text, url == "mailto:"+text:
		return text
	}
	return text + " (" + url + ")"
}

// count returns "1 commit" or "2 commits".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}
