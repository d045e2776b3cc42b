package chat

import (
	"strings"
	"unicode"
)

// showsNothing tells whether no client shows anything of s: a message of that is an empty line.
func showsNothing(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !isBlank(r) && !isInvisible(r) && !unicode.IsControl(r) })
}

// isBlank tells whether r is white space, or shows as such: U+2800 is a braille cell without dots.
func isBlank(r rune) bool { return unicode.Is(unicode.White_Space, r) || r == '\u2800' }

// isInvisible tells whether r shows nothing and takes no room: Default_Ignorable_Code_Point as the Unicode Character
// Database derives it (DerivedCoreProperties.txt), U+3164 among them, and the interlinear annotation characters.
func isInvisible(r rune) bool {
	switch {
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return true
	case !unicode.Is(unicode.Cf, r), unicode.Is(unicode.Prepended_Concatenation_Mark, r), r >= 0x13430 && r <= 0x13440:
		return false // seen: the signs that span digits, and what joins Egyptian hieroglyphs
	}
	return true
}
