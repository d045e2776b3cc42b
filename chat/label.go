package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// CheckLabel returns an *Invalid for a text that is not a valid label: it is invisible, has several lines, more than
// most characters, or characters that are invisible or ambiguous. field is for the error.
func CheckLabel(field, s string, most int) error {
	switch {
	case !utf8.ValidString(s):
		return invalid(field, "a %s is valid UTF-8", field)
	case len(s) > most && utf8.RuneCountInString(s) > most:
		return invalid(field, "a %s can have at most %d characters", field, most)
	case showsNothing(s):
		return invalid(field, "a %s must have at least one visible character", field)
	}
	text := []rune(s)
	for i, r := range text {
		switch {
		case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
			return invalid(field, "a %s must be one line without control characters", field)
		case unicode.Is(unicode.Bidi_Control, r):
			return invalid(field, "a %s cannot have characters that change the direction of writing", field)
		case isInvisible(r) && !belongs(text, i):
			return invalid(field, "a %s cannot have invisible characters", field)
		}
	}
	return nil
}

// CheckTokenName is CheckLabel for the name of an API token.
func CheckTokenName(s string) error { return CheckLabel("name", s, 100) }

const (
	nonJoiner      = '\u200c'
	joiner         = '\u200d'
	vowelSeparator = '\u180e' // of Mongolian
	blackFlag      = '\U0001f3f4'
)

// belongs reports whether the invisible character text[i] changes how its neighbours are written, by the rules of their
// script.
func belongs(text []rune, i int) bool {
	if i == 0 {
		return false
	}
	before, after := text[i-1], rune(0)
	if i+1 < len(text) {
		after = text[i+1]
	}
	switch r := text[i]; {
	case r == nonJoiner:
		return joins(text, i)
	case r == joiner:
		// In Bengali and Sinhala it also stands before the virama.
		return joins(text, i) || isVirama(after) && unicode.IsLetter(before) || isPictograph(after) && endsPictograph(text[:i])
	case unicode.Is(unicode.Variation_Selector, r):
		return unicode.In(before, unicode.L, unicode.N, unicode.S, unicode.P) && !isBlank(before) && !isInvisible(before)
	case r == vowelSeparator:
		return isMongolian(before) && isMongolian(after)
	case isTag(r): // the flag of a part of a country
		return before == blackFlag || isTag(before)
	}
	return false
}

// joins reports whether RFC 5892 A.1 and A.2 allow the joiner text[i]: between joining letters or after a virama.
// precis has the tables for this.
func joins(text []rune, i int) bool {
	from, to := i, i+1
	for from > 0 && isWritten(text[from-1]) {
		from--
	}
	for to < len(text) && isWritten(text[to]) {
		to++
	}
	_, err := joined.String(string(text[from:to]))
	return to > i+1 && err == nil
}

var joined = precis.NewFreeform()

func isWritten(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) && !isInvisible(r) }

func isMongolian(r rune) bool { return unicode.Is(unicode.Mongolian, r) && !isInvisible(r) }

// viramas have the canonical combining class 9.
func isVirama(r rune) bool { return norm.NFC.PropertiesString(string(r)).CCC() == 9 }

func isPictograph(r rune) bool { return onePictograph.MatchString(string(r)) }

// endsPictograph reports whether text ends with a pictograph and what may follow it.
func endsPictograph(text []rune) bool {
	last := len(text) - 1
	for last > 0 && (text[last] == '\ufe0f' || isTag(text[last])) {
		last--
	}
	return isPictograph(text[last]) // skin tones are pictographs
}

func isTag(r rune) bool { return r >= 0xe0020 && r <= 0xe007f }

// isJoiner reports whether r is an invisible character that a name can have.
func isJoiner(r rune) bool { return r == nonJoiner || r == joiner }

// TrimJoiners removes trailing joiners from the beginning of a name.
func TrimJoiners(s string) string { return strings.TrimRightFunc(s, isJoiner) }
