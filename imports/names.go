package imports

import (
	"fmt"
	"iter"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Names returns the possible local names for a foreign name, the best first: the name itself; then with everything but
// letters, digits and _ . - replaced by "-", trimmed, and cut to most characters; then the same with -2, -3 and so on.
// If nothing is left, fallback replaces it.
func Names(name, fallback string, most int) iter.Seq[string] {
	return func(yield func(string) bool) {
		if name != "" && !yield(name) {
			return
		}
		plain := plainName(name, most)
		if plain == "" {
			plain = plainName(fallback, most)
		}
		for _, base := range []string{plain, plainName(fallback, most)} {
			if base == "" {
				continue
			}
			if base != name && !yield(base) {
				return
			}
			for n := 2; n < 1000; n++ {
				end := fmt.Sprint("-", n)
				runes := []rune(base)
				if !yield(string(runes[:min(len(runes), most-len(end))]) + end) {
					return
				}
			}
		}
	}
}

// plainName returns the part of a name that can be kept.
func plainName(name string, most int) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFKC.String(strings.ToLower(name)) {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune("_.-", r) {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('-')
			gap = false
		}
		b.WriteRune(r)
	}
	runes := []rune(strings.TrimLeft(b.String(), "_.-"))
	return strings.TrimRight(string(runes[:min(len(runes), most)]), "_.-")
}
