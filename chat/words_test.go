package chat

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func found(text string, q Query) bool {
	words := Words(text)
	for _, w := range q.Words {
		if !slices.Contains(words, w) {
			return false
		}
	}
	return q.Beginning == "" || slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, q.Beginning) })
}

// The last word is a prefix, and tokens are as users type them.
func TestQueriesFindTheIntendedWords(t *testing.T) {
	for text, queries := range map[string]struct{ yes, no []string }{
		"hello world":                 {[]string{"h", "hel", "HEL", "hello", "hello ", "hello wor", "wor", "world hel", "world, hel!"}, []string{"ello", "hel wor", "hellow", "hello worlds", "help"}},
		"привет, мир":                 {[]string{"при", "ПРИ", "мир прив"}, []string{"ривет", "при мир"}},
		"released v4.2 today":         {[]string{"4.2", "v4.2", "v4", "4", "4.2 today", "today 4.2", "v4.2 rel", "4."}, []string{"4.3", "4.2.1", "2.4", "v4.2.0", "5.2"}},
		"released 4.2.1":              {[]string{"4.2", "4.2.1", "2.1", "4.2.", "4.2 released", "released 4"}, []string{"4.1", "1.2", "4.2.2", "42"}},
		"4 of 2":                      {[]string{"4 2", "4"}, []string{"4.2", "4@2"}},
		"14.25":                       {[]string{"14.2", "14"}, []string{"4.2", "14.3"}},
		"write to ada@example.org.":   {[]string{"ada@example.org", "ada@ex", "ada@", "@example.org", "example.org", "example", "ada", "Ada@Example.ORG"}, []string{"bob@example.org", "ada@example.com", "ada.example"}},
		"ada.lovelace+x@example.org":  {[]string{"ada.lovelace+x@example.org", "lovelace", "ada.love", "x@example.org"}, []string{"ada@example.org"}},
		"ada example":                 {[]string{"ada exa"}, []string{"ada@example"}},
		"see main.go:42 and e-mail":   {[]string{"main.go", "main", "go", "42", "mail", "e-mail", "main.g"}, []string{"main go.and"}},
		"on 2026-11-28 at 10:30":      {[]string{"2026-11-28", "2026-11", "11-28", "10:30", "10:3", "2026"}, []string{"28-11", "10:31", "10.30"}},
		"1,000 or 3/4":                {[]string{"1,000", "3/4", "000"}, []string{"1.000", "4/3"}},
		"host 10.0.0.17":              {[]string{"10.0.0.17", "10.0.0.1", "0.17"}, []string{"10.1", "10.0.0.2"}},
		"Zürich naïve Straße":         {[]string{"zur", "zür", "strass", "NAÏVE stra"}, []string{"uri"}},
		"for\u00adward می\u200cخواهم": {[]string{"forward", "forw", "خواه", "می\u200cخوا"}, []string{"ward"}},
		"小明去了北京大学 v1.2":               {[]string{"小明", "京大", "学", "北京 1.2", "1.2"}, []string{"大学北京", "小学"}},
		"สวัสดีครับ":                  {[]string{"สวัส", "ครับ"}, []string{"รคับ"}},
		"see 東京タワー.":                  {[]string{"東京", "タワー", "see 東京"}, []string{"se 東京"}},
		"a.b 😀":                       {[]string{"a.b", "a", "b"}, []string{"b.a"}},
		"x" + strings.Repeat("y", 90): {[]string{"x" + strings.Repeat("y", 90), "x" + strings.Repeat("y", 70)}, []string{"y"}},
	} {
		for _, q := range queries.yes {
			if asked, err := ParseQuery(q); err != nil || !found(text, asked) {
				t.Errorf("%q is not found by %q: %+v, %v, in %q", text, q, asked, err, Words(text))
			}
		}
		for _, q := range queries.no {
			if asked, err := ParseQuery(q); err != nil || found(text, asked) {
				t.Errorf("%q is found by %q: %+v, %v, in %q", text, q, asked, err, Words(text))
			}
		}
	}
	for _, q := range []string{"", " ", "!!", "😀", "❤️", "...", "@", "\u200b"} {
		if asked, err := ParseQuery(q); err == nil {
			t.Errorf("ParseQuery(%q) = %+v, want an error", q, asked)
		}
	}
}

// Any text is found by itself, by each of its prefixes, and by each of its words. No word contains a character that
// separates words in the index.
func FuzzWords(f *testing.F) {
	for c := range rune(0x180) {
		f.Add("A" + string(c) + "z")
	}
	for _, s := range []string{"hello world", "v4.2.1", "ada@example.org", "北京大学 x", "สวัสดีครับ", "for\u00adward", "2026-11-28", "İ.ı", "ﷺ@ﬁ", "a\u0301.b", "❤️ 1️⃣", "가.a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if quick, whole := fold(s), foldAny(s); quick != whole {
			t.Errorf("%+q is folded to %+q, want %+q", s, quick, whole)
		}
		words := Words(s)
		for _, w := range words {
			if w == "" || len(w) > maxWord || !utf8.ValidString(w) || strings.ContainsAny(w, " \"'*()\n\x00") || strings.HasPrefix(w, "\ue000") {
				t.Errorf("Words(%+q) contains %+q", s, w)
			}
		}
		asked, err := ParseQuery(s)
		if len(words) > 0 && len(words) < maxQueryWords && err != nil {
			t.Errorf("%+q has words but is not a valid query: %v", s, err)
		}
		if err != nil {
			return
		}
		if !found(s, asked) {
			t.Errorf("%+q does not match itself: query %+v, words %+q", s, asked, words)
		}
		// Whatever has been typed of it so far finds it too, character by character.
		folded := []rune(fold(s))
		if len(folded) > 100 {
			return
		}
		for n := range folded {
			typed := string(folded[:n+1])
			if asked, err := ParseQuery(typed); err == nil && isSpaced(folded[n]) && !found(s, asked) {
				t.Errorf("%+q is not found by %+q, %+v, in %+q", s, typed, asked, words)
			}
		}
	})
}
