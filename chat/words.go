package chat

import (
	"slices"
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

// Connectors join two words into one when nothing else is around them: in names of files, hosts and versions and in
// e-mail addresses, or between digits in numbers, dates and times. Such pairs are indexed as words too.
const (
	Connectors       = anyConnectors + digitsConnectors
	anyConnectors    = ".@"
	digitsConnectors = ",:/-"
)

// maxWord is where words are cut, in bytes: nobody searches for longer ones.
const maxWord = 64

// Query is what the Words of a text must contain to match.
type Query struct {
	Words     []string // all of them
	Beginning string   // and one word that begins with this; empty for none
}

// Words returns what a text is found by: its words without case and accents, each at least once.
func Words(s string) []string {
	var words []string
	for _, r := range runs(s) {
		words = r.appendWords(words)
	}
	return words
}

// ParseQuery parses q. Its last word may be incomplete, unless its script has no spaces.
func ParseQuery(q string) (Query, error) {
	var asked Query
	for _, r := range runs(q) {
		if asked.Beginning != "" {
			asked.Words = append(asked.Words, asked.Beginning)
			asked.Beginning = ""
		}
		words := r.asked()
		if last := len(words) - 1; r.letters == nil {
			words, asked.Beginning = words[:last], words[last]
		}
		asked.Words = append(asked.Words, words...)
	}
	switch n := len(asked.Words); {
	case n == 0 && asked.Beginning == "":
		return asked, invalid("q", "it contains no word; a word consists of letters and digits")
	case n >= maxQueryWords:
		return asked, invalid("q", "that is more than %d words", maxQueryWords)
	}
	return asked, nil
}

// maxQueryWords bounds the cost of a search; 200 characters without spaces are about as many words.
const maxQueryWords = 200

// run is a piece of a text without spaces: letters of unspaced scripts, or words with the connectors between them.
type run struct {
	letters    []rune
	words      []string
	connectors []rune
}

// runs splits s, without case and accents.
func runs(s string) (all []run) {
	s = fold(s)
	var now run
	words := make([]string, 0, len(s)/5+1) // of all runs, each has a part of it
	ofRun, word, before := 0, -1, rune(0)  // where the run's words begin, where the word begins; the rune before
	endWord := func(at int) {
		if word >= 0 {
			words = append(words, cutWord(s[word:at]))
			word = -1
		}
	}
	end := func(at int) {
		endWord(at)
		if now.letters != nil || ofRun < len(words) {
			now.words = slices.Clip(words[ofRun:])
			all = append(all, now)
			now, ofRun = run{}, len(words)
		}
	}
	for at, r := range s {
		switch {
		case isSpaced(r):
			if now.letters != nil {
				end(at)
			}
			if word < 0 {
				word = at
			}
		case isWordy(r):
			if now.letters == nil {
				end(at)
			}
			now.letters = append(now.letters, r)
		default:
			after, _ := utf8.DecodeRuneInString(s[at+utf8.RuneLen(r):])
			if word >= 0 && connects(before, r, after) {
				endWord(at)
				now.connectors = append(now.connectors, r)
			} else {
				end(at)
			}
		}
		before = r
	}
	end(len(s))
	return all
}

func isWordy(r rune) bool {
	if r < utf8.RuneSelf { // most of them
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

func isSpaced(r rune) bool {
	return isWordy(r) && (r <= unicode.MaxLatin1 || !unicode.In(r, unspaced...))
}

func connects(before, r, after rune) bool {
	return (strings.ContainsRune(anyConnectors, r) ||
		strings.ContainsRune(digitsConnectors, r) && unicode.IsDigit(before) && unicode.IsDigit(after)) && isSpaced(after)
}

// appendWords appends what the run is found by: for letters, each letter and each pair; for words, also the number at a
// word's end, so that 4.2 finds v4.2.
func (r run) appendWords(words []string) []string {
	for i, letter := range r.letters {
		words = append(words, string(letter))
		if i > 0 {
			words = append(words, string(r.letters[i-1:i+1]))
		}
	}
	for i, w := range r.words {
		number := w[len(strings.TrimRightFunc(w, unicode.IsDigit)):]
		for _, w := range []string{w, number} {
			if w == "" {
				continue
			}
			words = append(words, w)
			if i < len(r.connectors) {
				words = append(words, r.pair(w, i))
			}
			if w == number {
				break
			}
		}
	}
	return words
}

// asked returns those of the run's words that identify it: its pairs, or the only letter or word.
func (r run) asked() (words []string) {
	switch {
	case len(r.letters) == 1:
		return []string{string(r.letters)}
	case len(r.words) == 1:
		return r.words
	}
	for i := 1; i < len(r.letters); i++ {
		words = append(words, string(r.letters[i-1:i+1]))
	}
	for i := range r.connectors {
		words = append(words, r.pair(r.words[i], i))
	}
	return words
}

// pair returns the i-th word w, or its end, joined with the next.
func (r run) pair(w string, i int) string { return cutWord(w + string(r.connectors[i]) + r.words[i+1]) }

func cutWord(w string) string {
	for len(w) > maxWord { // at a character boundary
		_, size := utf8.DecodeLastRuneInString(w)
		w = w[:len(w)-size]
	}
	return w
}

// fold removes case, the accents of Latin, Greek and Cyrillic letters, and invisible characters. Marks of other scripts
// are vowels; the non-joiner and the zero-width space separate words.
func fold(s string) string {
	if isPlain(s) {
		return strings.ToLower(s)
	}
	return foldAny(s)
}

// isPlain reports whether s is ASCII without anything that foldAny removes.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '\n' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

// foldAny is fold for any text.
func foldAny(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 0x300 && r <= 0x36f || isInvisible(r) && r != nonJoiner && r != '\u200b' {
			return -1
		}
		return r
	}, norm.NFKD.String(strings.ToValidUTF8(s, "\ufffd"))) // norm leaves what follows an invalid byte as it is
	// ToLower: Fold swaps the cases of Cherokee.
	return norm.NFC.String(strings.ToLower(cases.Fold().String(s)))
}
