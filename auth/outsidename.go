package auth

import (
	"crypto/rand"
	"fmt"
	"iter"
	"strings"
	"unicode"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxName is the longest username in characters.
	maxName = 32
	// numberedNames is how many of ada-2, ada-3 … are tried before the suffix is random: thousands may be called ada.
	numberedNames = 50
)

// names are the candidates for a new outside user, the best first; the first free one is used. Whatever a token says,
// an existing name is not free: only subjects identify accounts, names never do.
func (o *outside) names(subject string, claims jwt.MapClaims) iter.Seq[string] {
	return func(yield func(string) bool) {
		base := o.baseName(subject, claims)
		for n := 1; ; n++ {
			suffix := ""
			switch {
			case n > numberedNames:
				suffix = "-" + strings.ToLower(rand.Text()[:8])
			case n > 1:
				suffix = fmt.Sprintf("-%d", n)
			}
			name, err := o.prepare(cut(base, maxName-len(suffix)) + suffix)
			if err != nil { // such as a left-to-right suffix after a right-to-left name
				name = "user-" + strings.ToLower(rand.Text()[:8])
			}
			if o.reserved(name) == nil && !yield(name) {
				return
			}
		}
	}
}

// baseName returns preferred_username, else name, else the local part of email, else the subject, each mended if it is
// not a valid username.
func (o *outside) baseName(subject string, claims jwt.MapClaims) string {
	text := func(claim string) string { s, _ := claims[claim].(string); return s }
	email, _, _ := strings.Cut(text("email"), "@")
	for _, s := range []string{text("preferred_username"), text("name"), email, subject} {
		for _, s := range []string{s, mend(s), mend(strings.Map(plain, s))} {
			if name, err := o.prepare(s); err == nil {
				return name
			}
		}
	}
	return "user"
}

// mend turns "Ada Lovelace" into Ada-Lovelace, ada@example.org into ada, and auth0|5f7c into auth0-5f7c.
func mend(s string) string {
	s = cut(s, 1024) // it can have any length
	if local, _, isAddress := strings.Cut(s, "@"); isAddress {
		s = local
	}
	var b strings.Builder
	gap := false
	for _, r := range s {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r), unicode.Is(unicode.Join_Control, r), r == '_', r == '.':
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			b.WriteRune(r)
			gap = false
		default:
			gap = true
		}
	}
	return strings.TrimRight(cut(strings.TrimLeft(b.String(), "_."), maxName), "-_.")
}

// plain makes strings.Map remove joiners, which only matter between some letters.
func plain(r rune) rune {
	if unicode.Is(unicode.Join_Control, r) {
		return -1
	}
	return r
}

// cut returns the first n characters.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
