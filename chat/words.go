package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// unspaced are the scripts that are written without spaces between words, and Hangul, whose words carry their
// particles. Their letters are indexed one by one and in pairs, so that any part of a text is found.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

// maxWord is where words are cut, in bytes: nobody looks for more of one.
const maxWord = 64

// Words are what a text is found by: its words without case and accents, each once or more.
func Words(s string) []string { return split(s, true) }

// queryWords are what a text must have among its Words to be found by s.
func queryWords(s string) []string { return split(s, false) }

// split gives the words of s. Of a run of unspaced letters these are its pairs, and, for the index, its letters too:
// a single one can be asked for.
func split(s string, index bool) (words []string) {
	var word strings.Builder // of spaced letters
	var run []rune           // of unspaced ones
	end := func() {
		if w := word.String(); w != "" {
			for len(w) > maxWord { // at a character's beginning
				_, size := utf8.DecodeLastRuneInString(w)
				w = w[:len(w)-size]
			}
			words = append(words, w)
		}
		for i, r := range run {
			if index || len(run) == 1 {
				words = append(words, string(r))
			}
			if i > 0 {
				words = append(words, string(run[i-1:i+1]))
			}
		}
		word.Reset()
		run = run[:0]
	}
	for _, r := range fold(s) {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r):
			end()
		case unicode.In(r, unspaced...):
			if word.Len() > 0 {
				end()
			}
			run = append(run, r)
		default:
			if len(run) > 0 {
				end()
			}
			word.WriteRune(r)
		}
	}
	end()
	return words
}

// fold takes away case and the accents of Latin, Greek and Cyrillic letters. Marks of other scripts are vowels.
func fold(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 0x300 && r <= 0x36f {
			return -1
		}
		return r
	}, norm.NFKD.String(s))
	return norm.NFC.String(cases.Fold().String(s))
}
