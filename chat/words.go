package chat

import (
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

// Connectors are what may stand between two words so that people take both for one, with nothing else around it: in names
// of files, hosts and versions and in e-mail addresses, or between digits in numbers, dates and times. Such pairs are
// words as well.
const (
	Connectors       = anyConnectors + digitsConnectors
	anyConnectors    = ".@"
	digitsConnectors = ",:/-"
)

// maxWord is where words are cut, in bytes: nobody looks for more of one.
const maxWord = 64

// Query is what a text must have among its Words to be found.
type Query struct {
	Words     []string // all of them
	Beginning string   // and one that begins so; empty for none
}

// Words are what a text is found by: its words without case and accents, each once or more.
func Words(s string) []string {
	var words []string
	for _, r := range runs(s) {
		words = r.appendWords(words)
	}
	return words
}

// ParseQuery gives what q asks for. Its last word may be unfinished, unless its script has no spaces.
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
		return asked, invalid("q", "there is no word in it; a word is made of letters and digits")
	case n >= maxQueryWords:
		return asked, invalid("q", "that is more than %d words", maxQueryWords)
	}
	return asked, nil
}

// maxQueryWords bounds what one search costs; 200 characters without spaces are about as many.
const maxQueryWords = 200

// run is a piece of a text with no space in it: letters of unspaced scripts, or words with the connectors between them.
type run struct {
	letters    []rune
	words      []string
	connectors []rune
}

// runs splits s, without case and accents.
func runs(s string) (all []run) {
	var now run
	var word []rune
	endWord := func() {
		if len(word) > 0 {
			now.words = append(now.words, cutWord(string(word)))
			word = word[:0]
		}
	}
	end := func() {
		endWord()
		if now.letters != nil || now.words != nil {
			all = append(all, now)
			now = run{}
		}
	}
	text := []rune(fold(s))
	for i, r := range text {
		switch {
		case isSpaced(r):
			if now.letters != nil {
				end()
			}
			word = append(word, r)
		case isWordy(r):
			if now.letters == nil {
				end()
			}
			now.letters = append(now.letters, r)
		case len(word) > 0 && i+1 < len(text) && connects(text[i-1], r, text[i+1]):
			endWord()
			now.connectors = append(now.connectors, r)
		default:
			end()
		}
	}
	end()
	return all
}

func isWordy(r rune) bool  { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }
func isSpaced(r rune) bool { return isWordy(r) && !unicode.In(r, unspaced...) }

func connects(before, r, after rune) bool {
	return isSpaced(after) && (strings.ContainsRune(anyConnectors, r) ||
		strings.ContainsRune(digitsConnectors, r) && unicode.IsDigit(before) && unicode.IsDigit(after))
}

// appendWords appends what the run is found by: of letters, each and each pair; of words too, and the number at a word's
// end, so that 4.2 finds v4.2.
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

// asked are those of the run's words that tell it from others: its pairs, or the only letter or word there is.
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

// pair is w, the i-th word or its end, with the next.
func (r run) pair(w string, i int) string { return cutWord(w + string(r.connectors[i]) + r.words[i+1]) }

func cutWord(w string) string {
	for len(w) > maxWord { // at a character's beginning
		_, size := utf8.DecodeLastRuneInString(w)
		w = w[:len(w)-size]
	}
	return w
}

// fold takes away case, the accents of Latin, Greek and Cyrillic letters, and what nobody sees. Marks of other scripts
// are vowels; the non-joiner and the zero-width space part words.
func fold(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 0x300 && r <= 0x36f || isInvisible(r) && r != nonJoiner && r != '\u200b' {
			return -1
		}
		return r
	}, norm.NFKD.String(strings.ToValidUTF8(s, "\ufffd"))) // norm leaves what follows an invalid byte as it is
	// ToLower: Fold swaps the cases of Cherokee.
	return norm.NFC.String(strings.ToLower(cases.Fold().String(s)))
}
