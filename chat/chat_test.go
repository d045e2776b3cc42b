package chat

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"ada": "ada", "Ada": "ada", "ADA_1": "ada_1", "a.b-c": "a.b-c", "Мария": "мария", "ａｄａ": "ada", "९९": "९९", "हिन्दी": "हिन्दी",
		"a": "", "": "", ".ada": "", "-ada": "", "_ada": "", "a b": "", "a\x00b": "", "a/b": "", "a%b": "", "😀😀": "", "a\u200bb": "", "a\u202eb": "",
		"аda": "", "pаypal": "", "ada小": "", "小明": "小明", "ひらカナ漢字": "ひらカナ漢字", "한국韓": "한국韓", "мария_1": "мария_1", "δοκιμή2": "δοκιμή2",
		"\u0301ab": "", strings.Repeat("a", 32): strings.Repeat("a", 32), strings.Repeat("a", 33): "", strings.Repeat("я", 32): strings.Repeat("я", 32),
		strings.Repeat("a", 100_000): "", "\xff\xfe": "", "ab\n": "", "<b>": "",
	} {
		got, err := PrepareUsername(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("username %.40q gives %q, %v; want %q", in, got, err, want)
		}
		var invalid *Invalid
		if err != nil && (!errors.As(err, &invalid) || invalid.Field != "username") {
			t.Errorf("username %.40q: error %v does not name the field", in, err)
		}
	}
	for in, want := range map[string]string{"x": "x", "комната": "комната", "Lobby": "lobby", "_": "_", "...": "...", ".": "", "..": "", "": "", "a b": "", strings.Repeat("a", 64): strings.Repeat("a", 64), strings.Repeat("a", 65): ""} {
		if got, err := PrepareRoomName("room", in); got != want || (err == nil) != (want != "") {
			t.Errorf("room %.40q gives %q, %v; want %q", in, got, err, want)
		}
	}
}

// Preparing a prepared name changes nothing: it is looked up as it was stored.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"Ada", "Мария", "ａｄａ", "é", "e\u0301", "İ", "ß", "ǆ", "क्ष", "a\u200d", "ﷺ", "علی\u200cرضا", "क्\u200dष", "Ⅳ", "ﾊﾟ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, err := PrepareUsername(s); err == nil {
			if again, err := PrepareUsername(name); err != nil || again != name {
				t.Errorf("%q prepared as %q, and that as %q, %v", s, name, again, err)
			}
			if same := strings.Map(withoutJoiners, name); Skeleton(same) != Skeleton(name) {
				t.Errorf("Skeleton(%q) = %q, Skeleton(%q) = %q", name, Skeleton(name), same, Skeleton(same))
			}
			if n := utf8.RuneCountInString(name); n < 2 || n > 32 || TrimJoiners(name) != name {
				t.Errorf("%q prepared as %q", s, name)
			}
		}
		name, err := PrepareRoomName("room", s)
		if err != nil {
			return
		}
		if again, err := PrepareRoomName("room", name); err != nil || again != name {
			t.Errorf("%q prepared as %q, and that as %q, %v", s, name, again, err)
		}
		if n := utf8.RuneCountInString(name); n < 1 || n > 64 || !utf8.ValidString(name) || strings.ContainsAny(name, "/%?# \x00\n<>\"'") {
			t.Errorf("%q prepared as %q", s, name)
		}
	})
}

func withoutJoiners(r rune) rune {
	if isJoiner(r) {
		return -1
	}
	return r
}

func TestCursors(t *testing.T) {
	for in, want := range map[string]Cursor{
		"0": {}, "17": {ID: 17}, "17.abc": {17, "abc"}, "0.x": {0, "x"}, "9007199254740991.a1": {MaxID, "a1"},
	} {
		if got, err := ParseCursor(in); err != nil || got != want {
			t.Errorf("%q gives %+v, %v; want %+v", in, got, err, want)
		}
		if got := want.String(); got != in {
			t.Errorf("%+v is written as %q, want %q", want, got, in)
		}
	}
	for _, in := range []string{"", ".", "x", "-1", "+1", " 1", "1 ", "1.", "1.A", "1.a.b", "1.a b", "0x1", "1e3", "9007199254740992", "99999999999999999999", "1\x00", "1.\x00", "1." + strings.Repeat("a", 33)} {
		if got, err := ParseCursor(in); !errors.Is(err, ErrBadCursor) {
			t.Errorf("ParseCursor(%q) = %+v, %v", in, got, err)
		}
	}
}

// Whatever parses is formatted so that it parses to the same value, and stays short enough for a CORS-safe header.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"0", "17.abc", "007.x", "9007199254740991.zzz", "1.", ".1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCursor(s)
		if err != nil {
			return
		}
		if again, err := ParseCursor(c.String()); err != nil || again != c || c.ID < 0 || c.ID > MaxID || len(c.String()) > 128 {
			t.Errorf("%q parsed as %+v, written as %q", s, c, c.String())
		}
	})
}

func TestEventJSON(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 0, 123_456_789, time.UTC)
	room, user := Room{ID: 4, Name: "lobby"}, User{ID: 9, Name: "ada"}
	text := "<b>&\u2028\"\\\n\t😀 kept as sent "
	e := chatMessage(room, user, &Draft{Text: text, Nonce: "n1"}, Mentions{}, at).Event
	e.ID = 184223
	const start = `{"type":"chat_message","id":184223,"room":"lobby","user":"ada","message":"<b>&`
	const end = `,"sent_at":"2026-11-20T10:00:00.123Z","nonce":"n1"}`
	got := string(e.JSON())
	if !strings.HasPrefix(got, start) || !strings.HasSuffix(got, end) {
		t.Errorf("JSON of a message: got %s, want %s…%s", got, start, end)
	}
	var back struct{ Message string }
	if err := json.Unmarshal([]byte(got), &back); err != nil || back.Message != text {
		t.Errorf("message decoded as %q, %v", back.Message, err)
	}
	if e.Topic != RoomTopic(4) || e.Also != NoTopic || e.Author != 9 {
		t.Errorf("event of a message: got %+v, want topic %d and author 9", e, RoomTopic(4))
	}
	m := memberAdded(room, user, User{ID: 3, Name: "bo"}, RoleOwner, at)
	m.ID = 1
	const want = `{"type":"member_added","id":1,"room":"lobby","user":"ada","target":"bo","role":"owner","sent_at":"2026-11-20T10:00:00.123Z"}`
	if got := string(m.JSON()); got != want || m.Also != InboxTopic(3) {
		t.Errorf("got %s in %v\nwant %s", got, m.Also, want)
	}
}

func TestDrafts(t *testing.T) {
	for name, tt := range map[string]struct {
		d     Draft
		field string
	}{
		"plain":            {Draft{Text: "hi"}, ""},
		"4,000 emoji":      {Draft{Text: strings.Repeat("😀", 4000)}, ""},
		"white space":      {Draft{Text: " a\n"}, ""},
		"64 nonce":         {Draft{Text: "x", Nonce: strings.Repeat("я", 64)}, ""},
		"128 key":          {Draft{Text: "x", Key: strings.Repeat("k", 128)}, ""},
		"empty":            {Draft{}, "message"},
		"invalid UTF-8":    {Draft{Text: "a\xff"}, "message"},
		"NUL":              {Draft{Text: "a\x00"}, "message"},
		"long nonce":       {Draft{Text: "x", Nonce: strings.Repeat("я", 65)}, "nonce"},
		"long key":         {Draft{Text: "x", Key: strings.Repeat("k", 129)}, "Idempotency-Key"},
		"key with newline": {Draft{Text: "x", Key: "a\nb"}, "Idempotency-Key"},
		"key with ü":       {Draft{Text: "x", Key: "ü"}, "Idempotency-Key"},
	} {
		err := tt.d.prepare()
		var invalid *Invalid
		if errors.As(err, &invalid) && invalid.Field != tt.field || (err == nil) != (tt.field == "") {
			t.Errorf("%s: %v, want %q", name, err, tt.field)
		}
	}
	d := Draft{Text: strings.Repeat("я", 4001)}
	if err := d.prepare(); !errors.Is(err, ErrMessageTooBig) {
		t.Errorf("4,001 characters: got %v, want ErrMessageTooBig", err)
	}
}
