package chat

import (
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"go.mau.fi/util/confusable"
	"golang.org/x/text/secure/precis"
)

// PrepareUsername gives the form in which a username is kept and compared (PRECIS UsernameCaseMapped,
// RFC 8265 §3.3), so that "Ada" is "ada". It returns an *Invalid for a text that is no username.
func PrepareUsername(s string) (string, error) {
	name, err := prepare("username", s, 2, 32)
	if err != nil {
		return "", err
	}
	if r, _ := utf8.DecodeRuneInString(name); !unicode.IsLetter(r) && !unicode.IsDigit(r) {
		return "", invalid("username", "a username begins with a letter or a digit")
	}
	if !singleScript(name) {
		return "", invalid("username", "a username is written in one script: a letter of another may only look the same")
	}
	return name, nil
}

// togetherWith are the scripts that one language writes together (UTS 39 §5.1); Latin is not among them.
var togetherWith = [][]string{{"Han", "Hiragana", "Katakana"}, {"Han", "Hangul"}, {"Han", "Bopomofo"}}

// singleScript tells whether the letters of s are of one script, or of those that are written together. Digits and
// marks that belong to every script count for none.
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

// Skeleton is what a prepared username looks like (UTS 39 §4): two with the same one can be taken for each other. It
// sees through joiners.
func Skeleton(username string) string { return confusable.Skeleton(username) }

// PrepareRoomName gives the form in which a room's name is kept and compared. It returns an *Invalid for a
// text that is no room name. field is where the text stood, for the error.
func PrepareRoomName(field, s string) (string, error) {
	name, err := prepare(field, s, 1, 64)
	if err != nil {
		return "", err
	}
	if name == "." || name == ".." {
		return "", invalid(field, "%q is no room name: browsers and proxies resolve it away", name)
	}
	return name, nil
}

func prepare(field, s string, least, most int) (string, error) {
	// The bound on the raw text keeps absurd lengths from the preparation below.
	if len(s) > 16*most {
		return "", invalid(field, "a %s has %d to %d characters", noun(field), least, most)
	}
	name, err := precis.UsernameCaseMapped.String(s)
	if err != nil {
		return "", invalid(field, "a %s is made of letters and digits of any script and _ . -", noun(field))
	}
	for _, r := range name {
		// Marks are the vowel signs of many scripts; they never stand first (PRECIS sees to most of it). Joiners stand only
		// where PRECIS found that they change what is seen (RFC 5892 A.1 and A.2).
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !isJoiner(r) && r != '_' && r != '.' && r != '-' {
			return "", invalid(field, "a %s is made of letters and digits of any script and _ . -", noun(field))
		}
	}
	if r, _ := utf8.DecodeRuneInString(name); unicode.IsMark(r) {
		return "", invalid(field, "a %s does not begin with a combining mark", noun(field))
	}
	if TrimJoiners(name) != name {
		return "", invalid(field, "a %s does not end with a joiner, which would show nothing", noun(field))
	}
	if n := utf8.RuneCountInString(name); n < least || n > most {
		return "", invalid(field, "a %s has %d to %d characters", noun(field), least, most)
	}
	return name, nil
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
