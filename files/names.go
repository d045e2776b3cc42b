package files

import (
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// maxName is what common file systems accept, in bytes.
	maxName = 255
	// maxExtension is how much of a truncated name is kept as its extension.
	maxExtension = 32
	unnamed      = "file"
)

var drive = regexp.MustCompile(`^[A-Za-z]:`)

// CleanName returns the name under which the upload s is shown and saved: the last element of a path of any system,
// without control, invisible and direction-changing characters, in NFC, at most 255 bytes with its extension kept, and
// never empty.
func CleanName(s string) string {
	if s = cleanName(s); s == "" {
		return unnamed
	}
	return s
}

// cleanName is CleanName, but empty if nothing is left.
func cleanName(s string) string {
	s = s[strings.LastIndexAny(s, `/\`)+1:]
	s = drive.ReplaceAllString(s, "")
	s = strings.Map(visible, strings.ToValidUTF8(s, ""))
	s = norm.NFC.String(s)
	s = cut(strings.Join(strings.Fields(s), " "))
	// Windows drops trailing dots and spaces, so "a.exe." would have another name there. "." and ".." are not names.
	return strings.TrimRight(s, ". ")
}

// visible returns r, a space for white space, and -1 for what is invisible or changes how its neighbours look.
func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case r == '\u034f' || r == '\u115f' || r == '\u1160' || r == '\u17b4' || r == '\u17b5' || r == '\u2800' || r == '\u3164' || r == '\uffa0',
		unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
		return -1
	case !unicode.IsGraphic(r): // control, format, private and unassigned characters
		return -1
	}
	return r
}

// cut truncates s to maxName bytes, at a character boundary and before its extension.
func cut(s string) string {
	if len(s) <= maxName {
		return s
	}
	ext := path.Ext(s)
	if len(ext) > maxExtension {
		ext = ""
	}
	n := maxName - len(ext)
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimRight(s[:n], " ") + ext
}
