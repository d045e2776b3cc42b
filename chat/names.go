package chat

import (
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"go.mau.fi/util/confusable"
	"golang.org/x/text/secure/precis"
)

// PrepareUsername returns the form in which a username is stored and compared (PRECIS UsernameCaseMapped, RFC 8265
// §3.3), so that "Ada" is "ada". It returns an *Invalid if the text is not a valid username.
func PrepareUsername(s string) (string, error) {
	name, err := prepare("username", s, 2, 32)
	if err != nil {
		return "", err
	}
	if r, _ := utf8.DecodeRuneInString(name); !unicode.IsLetter(r) && !unicode.IsDigit(r) {
		return "", invalid("username", "a username must start with a letter or a digit")
	}
	if !singleScript(name) {
		return "", invalid("username", "a username must use one script: letters of another can look the same")
	}
	return name, nil
}

// togetherWith lists scripts that one language mixes (UTS 39 §5.1); Latin is not among them.
var togetherWith = [][]string{{"Han", "Hiragana", "Katakana"}, {"Han", "Hangul"}, {"Han", "Bopomofo"}}

// singleScript reports whether the letters of s are of one script, or of scripts that are written together. Digits and
// marks of all scripts do not count.
func singleScript(s string) bool {
	var scripts []string
	for _, r := range s {
		if unicode.In(r, unicode.Common, unicode.Inherited) {
			continue
		}
		if script := scriptOf(r); !slices.Contains(scripts, script) {
			scripts = append(scripts, script)
		}
	}
	return len(scripts) <= 1 || slices.ContainsFunc(togetherWith, func(set []string) bool {
		return !slices.ContainsFunc(scripts, func(script string) bool { return !slices.Contains(set, script) })
	})
}

func scriptOf(r rune) string {
	if unicode.Is(unicode.Latin, r) { // most names
		return "Latin"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return ""
}

// Skeleton returns what a prepared username looks like (UTS 39 §4): names with the same skeleton can be confused. It
// ignores joiners.
func Skeleton(username string) string { return confusable.Skeleton(username) }

// PrepareRoomName returns the form in which a room's name is stored and compared. It returns an *Invalid if the text is
// not a valid room name. field is for the error.
func PrepareRoomName(field, s string) (string, error) {
	name, err := prepare(field, s, 1, 64)
	if err != nil {
		return "", err
	}
	if name == "." || name == ".." {
		return "", invalid(field, "%q cannot be a room name: browsers and proxies remove it from paths", name)
	}
	return name, nil
}

func prepare(field, s string, least, most int) (string, error) {
	if isPrepared(s) && len(s) >= least && len(s) <= most {
		return s, nil
	}
	// Bound the raw text to keep absurdly long names from the preparation below.
	if len(s) > 16*most {
		return "", invalid(field, "a %s has %d to %d characters", noun(field), least, most)
	}
	name, err := precis.UsernameCaseMapped.String(s)
	if err != nil {
		return "", invalid(field, "a %s can have letters and digits of any script and _ . -", noun(field))
	}
	for _, r := range name {
		// Marks are the vowel signs of many scripts; they never come first (PRECIS handles most of it). PRECIS allows
		// joiners only where they change what is visible (RFC 5892 A.1 and A.2).
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !isJoiner(r) && r != '_' && r != '.' && r != '-' {
			return "", invalid(field, "a %s can have letters and digits of any script and _ . -", noun(field))
		}
	}
	if r, _ := utf8.DecodeRuneInString(name); unicode.IsMark(r) {
		return "", invalid(field, "a %s cannot start with a combining mark", noun(field))
	}
	if TrimJoiners(name) != name {
		return "", invalid(field, "a %s cannot end with a joiner, which would be invisible", noun(field))
	}
	if n := utf8.RuneCountInString(name); n < least || n > most {
		return "", invalid(field, "a %s has %d to %d characters", noun(field), least, most)
	}
	return name, nil
}

// isPrepared quickly detects most names that are already prepared.
func isPrepared(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

func noun(field string) string {
	if field == "username" {
		return "username"
	}
	return "room name"
}

func invalid(field, format string, args ...any) *Invalid {
	return &Invalid{Field: field, Detail: fmt.Sprintf(format, args...)}
}
