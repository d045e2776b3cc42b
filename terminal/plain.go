package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain returns text that has no effect on a terminal, on one line: characters that move the cursor, change colours or
// the direction of writing, ring or answer are shown as escapes. Tabs stay.
func Plain(text string) string {
	if strings.IndexFunc(text, harmful) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text { // invalid UTF-8 becomes U+FFFD
		switch {
		case !harmful(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// harmful reports a control character of C0 (including Escape) or C1 (some terminals take U+009B for Escape-[), a line
// separator, or one that changes the direction of the following text.
func harmful(r rune) bool {
	return unicode.IsControl(r) && r != '\t' || r == 0x2028 || r == 0x2029 || unicode.Is(unicode.Bidi_Control, r)
}

// plainJSON does the same to JSON without changing its meaning: such characters only occur in strings, where an escape
// is equivalent.
func plainJSON(text string) string {
	if strings.IndexFunc(text, harmful) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if harmful(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// lines returns a text of several lines, each plain; all but the first after a mark, so that none can look like another
// message.
func lines(text string) string {
	text = strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	parts := strings.Split(text, "\n")
	for i, p := range parts {
		parts[i] = Plain(p)
	}
	return strings.Join(parts, "\n    | ")
}

// clip returns the beginning of a text on one line.
func clip(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	return Plain(text)
}
