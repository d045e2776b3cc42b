package chat

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestInvisibleTexts(t *testing.T) {
	for _, s := range []string{
		"", " ", "\n\n", "\t\r\n\v\f", "\u00a0", "\u3000", "\u2003\u2009", "\u2028", "\u2029", "\u0085", "\u200b", "\u200d\u200d", "\u200c", "\u2060", "\ufeff",
		"\u2800", "\u3164", "\u115f\u1160", "\uffa0", "\u00ad", "\u034f", "\u061c", "\u202e", "\u2066\u2069", "\ufe0f", "\ufe0e\ufe00", "\U000e0100", "\U000e0041\U000e007f",
		"\u180b\u180e", "\u17b4", "\u206a", "\ufff0", "\U0001bca0", "\U0001d173", "\x01\x1b\x7f", "\ufff9\ufffb", " \u200b\n\u2800\u3164\ufe0f ",
	} {
		d := Draft{Text: s}
		if err := d.prepare(); !errors.Is(err, ErrMessageEmpty) {
			t.Errorf("message %q: got %v, want ErrMessageEmpty", s, err)
		}
	}
	for _, s := range []string{
		".", " a ", "\u200ba", "❤️", "\u0301", "\ufffd", "\ufffc", "\u0600", "\u06dd", "\U000110bd", "\u2801", "\u3165", "\U00013431", "\ue000", "\U000f0000", "\u0378", "\u180a", "_",
	} {
		d := Draft{Text: s}
		if err := d.prepare(); err != nil || d.Text != s {
			t.Errorf("message %q refused: %v", s, err)
		}
	}
}

func TestLabels(t *testing.T) {
	for _, s := range []string{
		"Ops", "a", "Deploys & Releases — 2026", strings.Repeat("ü", 20), "می\u200cخواهم", "علی\u200cرضا", "क्\u200cष", "क्\u200dष", "শ্র\u200d্যাম", "ශ්\u200dරී", "👩‍👩‍👧‍👦", "a 🏳️‍🌈 b", "👩🏿‍❤️‍💋‍👨🏻", "🏴󠁧󠁢󠁥󠁮󠁧󠁿 Three Lions",
		"❤️", "❤︎", "1️⃣ first", "葛󠄀城", "ᠰᠠᠶᠢᠨ\u180eᠠ", "⠓⠑⠇⠇⠕⠀⠺⠕⠗⠇⠙", "שלום", "مرحبا 1", "\u0301", "\u00a0x",
	} {
		if err := CheckLabel("title", s, 20+utf8.RuneCountInString(s)); err != nil {
			t.Errorf("CheckLabel(%+q): got %v, want nil", s, err)
		}
	}
	for _, s := range []string{
		"", " ", "\u2800", "\u3164", "\u200b", "a\u202egnp.exe", "a\u202ab", "a\u202bb", "a\u202cb", "a\u202db", "a\u2066b", "a\u2067b", "a\u2068b", "a\u2069b", "a\u200eb", "a\u200fb", "a\u061cb",
		"a\u200bb", "a\u200cb", "a\u200db", "\u200ca", "a\u200c", "علی\u200c", "علی\u200c\u200cرضا", "علی\u200c رضا", "ر\u200cضا", "👩\u200d", "\u200d👩", "👩\u200da", "a\u200d👩", "👩\u200d\u200d👩", "a\u2060b", "a\ufeffb", "a\u00adb", "a\u034fb",
		"a\u115fb", "a\u3164b", "a\uffa0b", "a\u180eb", "\ufe0fa", "a\ufe0f\ufe0f", " \ufe0fa", "a\U000e0041", "🏳\U000e0067", "a\x00b", "a\nb", "a\tb", "a\x7fb", "a\u0085b", "a\u2028b", "a\u2029b", "a\ufff9b", "a\u206ab", "a\xff", strings.Repeat("ü", 21),
	} {
		err := CheckLabel("title", s, 20)
		var invalid *Invalid
		if !errors.As(err, &invalid) || invalid.Field != "title" {
			t.Errorf("CheckLabel(%+q): got %v, want an *Invalid of title", s, err)
		}
	}
}

// RFC 5892 A.1 and A.2: a joiner is allowed where it changes the rendering. The name without it counts as taken.
func TestNamesMayHaveJoiners(t *testing.T) {
	for _, s := range []string{"علی\u200cرضا", "क्\u200cष", "क्\u200dष"} {
		name, err := PrepareUsername(s)
		if err != nil || name != s {
			t.Errorf("username %+q = %+q, %v", s, name, err)
		}
		if name, err := PrepareRoomName("room", s); err != nil || name != s {
			t.Errorf("room name %+q = %+q, %v", s, name, err)
		}
		if without := strings.Map(withoutJoiners, s); Skeleton(without) != Skeleton(s) || without == s {
			t.Errorf("Skeleton(%+q) != Skeleton(%+q)", without, s)
		}
	}
	for _, s := range []string{"a\u200cb", "a\u200db", "علی\u200c", "علی\u200d", "\u200cعلی", "علی\u200c\u200cرضا", "علی\u200dرضا", "ر\u200cضا", "क्\u200c", "राम्\u200d", "क\u200cष", "क\u200dष", "а\u200cb"} {
		if name, err := PrepareUsername(s); err == nil {
			t.Errorf("username %+q accepted as %+q", s, name)
		}
		if name, err := PrepareRoomName("room", s); err == nil {
			t.Errorf("room name %+q accepted as %+q", s, name)
		}
	}
}

func TestReservedNames(t *testing.T) {
	r, err := NewReserved([]string{"Billing", "Помощь"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(reservedNames, "billing", "помощь") {
		if !r.Has(name) || !r.Like(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
	for _, name := range []string{"a11", "nul1", "rne", "adrnin"} {
		if r.Has(name) || !r.Like(name) {
			t.Errorf("%s does not look like a reserved name", name)
		}
	}
	for _, name := range []string{"ada", "admin2", "administer", "mel", "systems"} {
		if r.Like(name) {
			t.Errorf("%s looks like a reserved name", name)
		}
	}
	for _, bad := range []string{"", "a b", "x", "-x-"} {
		if _, err := NewReserved([]string{bad}); err == nil {
			t.Errorf("NewReserved accepts %q", bad)
		}
	}
}

func TestEmojiAreFullyQualified(t *testing.T) {
	for in, want := range map[string]string{
		"❤": "❤️", "❤️": "❤️", "1⃣": "1️⃣", "1️⃣": "1️⃣", "#⃣": "#️⃣", "*⃣": "*️⃣", "🏳‍🌈": "🏳️‍🌈", "🏳️‍🌈": "🏳️‍🌈", "☺": "☺️", "©": "©️", "👍": "👍", "👍️": "👍", "👍🏽": "👍🏽",
		"🏋‍♂": "🏋️‍♂️", "🏋️‍♂️": "🏋️‍♂️", "🏋🏽‍♂": "🏋🏽‍♂️", "✌🏽": "✌🏽", "👁‍🗨": "👁️‍🗨️", "👩‍❤‍👨": "👩‍❤️‍👨", "👩🏿‍❤‍💋‍👨🏻": "👩🏿‍❤️‍💋‍👨🏻", "❤‍🔥": "❤️‍🔥", "🏴‍☠": "🏴‍☠️", "🐈‍⬛": "🐈‍⬛", "⌚️": "⌚", "🇪🇪": "🇪🇪",
		"🏴󠁧󠁢󠁥󠁮󠁧󠁿": "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🫠": "🫠", "🧑🏽‍🚀": "🧑🏽‍🚀", "★️": "★",
	} {
		if got, err := prepareEmoji(in); err != nil || got != want {
			t.Errorf("%+q gives %+q, %v; want %+q", in, got, err, want)
		}
	}
}

// Invisible text is refused wherever text is accepted, and names may contain no invisible characters.
func FuzzLabels(f *testing.F) {
	for _, s := range []string{"Ops", "\u200b", "a\u202egnp.exe", "علی\u200cرضا", "🏳️‍🌈", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "শ্র\u200d্যাম", "葛󠄀城", "ᠰᠠᠶᠢᠨ\u180eᠠ", "\u2800", "a\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := CheckLabel("title", s, 200)
		if (checkText(s) != nil && utf8.RuneCountInString(s) <= 200) && err == nil {
			t.Errorf("%+q is a valid label but not a valid message", s)
		}
		if err != nil {
			return
		}
		if !utf8.ValidString(s) || utf8.RuneCountInString(s) > 200 || strings.ContainsFunc(s, unicode.IsControl) || strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("%+q accepted as a label", s)
		}
		// No two invisible characters in a row except tags, and none at the end unless it modifies what it follows.
		last := rune(-1)
		for _, r := range s {
			if isInvisible(r) && isInvisible(last) && !isTag(r) && r != joiner {
				t.Errorf("%+q accepted with %U after %U", s, r, last)
			}
			last = r
		}
		if strings.TrimFunc(s, isInvisible) == "" {
			t.Errorf("%+q accepted, but shows nothing", s)
		}
	})
}

// Any bytes have one qualified form, which is an emoji itself and does not depend on the variation selectors.
func FuzzEmoji(f *testing.F) {
	for _, s := range []string{"❤", "❤️", "1⃣", "🏳‍🌈", "🏋🏽‍♂", "👍️", "🇪🇪", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👩🏿‍❤‍💋‍👨🏻", "★️", "©⃣", "#\ufe0f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := prepareEmoji(s)
		if err != nil {
			return
		}
		if again, err := prepareEmoji(e); err != nil || again != e {
			t.Errorf("%+q prepared as %+q, and that as %+q, %v", s, e, again, err)
		}
		bare := strings.ReplaceAll(s, EmojiSelector, "")
		if got := QualifyEmoji(bare); got != e || strings.ReplaceAll(e, EmojiSelector, "") != bare {
			t.Errorf("%+q prepared as %+q, without selectors %+q", s, e, got)
		}
	})
}
