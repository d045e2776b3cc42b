package chat

import (
	"fmt"
	"unicode"
	"unicode/utf8"

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
	return name, nil
}

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
		// Marks are the vowel signs of many scripts; they never stand first (PRECIS sees to most of it).
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != '_' && r != '.' && r != '-' {
			return "", invalid(field, "a %s is made of letters and digits of any script and _ . -", noun(field))
		}
	}
	if r, _ := utf8.DecodeRuneInString(name); unicode.IsMark(r) {
		return "", invalid(field, "a %s does not begin with a combining mark", noun(field))
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
