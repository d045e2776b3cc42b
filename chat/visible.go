package chat

import (
	"strings"
	"unicode"
)

// showsNothing reports whether s is invisible in every client, like an empty line.
func showsNothing(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !isBlank(r) && !isInvisible(r) && !unicode.IsControl(r) })
}

// isBlank reports whether r is white space, or looks like it: U+2800 is a braille cell without dots.
func isBlank(r rune) bool { return unicode.Is(unicode.White_Space, r) || r == '\u2800' }

// isInvisible reports whether r is invisible and has no width: Default_Ignorable_Code_Point as the Unicode Character
// Database derives it (DerivedCoreProperties.txt), including U+3164, and the interlinear annotation characters.
func isInvisible(r rune) bool {
	switch {
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return true
	case !unicode.Is(unicode.Cf, r), unicode.Is(unicode.Prepended_Concatenation_Mark, r), r >= 0x13430 && r <= 0x13440:
		return false // visible: signs that span digits, and joiners of Egyptian hieroglyphs
	}
	return true
}
