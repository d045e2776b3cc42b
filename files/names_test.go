package files

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestCleanName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ sent, want string }{
		{"holiday.jpg", "holiday.jpg"},
		{"../../etc/passwd", "passwd"},
		{`..\..\windows\system32\x.dll`, "x.dll"},
		{`C:\fakepath\photo.png`, "photo.png"},
		{"C:photo.png", "photo.png"},
		{"/", "file"},
		{"", "file"},
		{"..", "file"},
		{"...", "file"},
		{"a/..", "file"},
		{"dir/", "file"},
		{".env", ".env"},
		{"virus.exe. . .", "virus.exe"},
		{"invoice\u202egpj.exe", "invoicegpj.exe"},
		{"\u2066a\u2069.txt", "a.txt"},
		{"a\x00b\r\nc\x7f\u0085.txt", "ab c .txt"},
		{"zero\u200bwidth\u200d\ufeff\u00ad\u2060.txt", "zerowidth.txt"},
		{"\u3164\u2800\u115f", "file"},
		{"tag\U000e0041.txt", "tag.txt"},
		{"private\ue000.txt", "private.txt"},
		{"a\u2028b\u00a0c\u3000 d", "a b c d"},
		{"  spaces  .txt  ", "spaces .txt"},
		{"cafe\u0301.txt", "caf\u00e9.txt"},
		{"\u1112\u1161\u11ab.hwp", "\ud55c.hwp"},
		{"bad\xff\xfeutf8.txt", "badutf8.txt"},
		{"\u0645\u06cc\u200c\u062e.pdf", "\u0645\u06cc\u062e.pdf"},
		{"😀.png", "😀.png"},
		{strings.Repeat("x", 10_000) + ".tar.gz", strings.Repeat("x", 252) + ".gz"},
		{strings.Repeat("é", 10_000) + ".jpeg", strings.Repeat("é", 125) + ".jpeg"},
		{"a." + strings.Repeat("y", 10_000), "a." + strings.Repeat("y", 253)},
		{strings.Repeat(".", 10_000), "file"},
	} {
		if got := CleanName(tt.sent); got != tt.want {
			t.Errorf("%.40q: got %q, want %q", tt.sent, got, tt.want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"a.txt", "../x", "e\u0301", "\u202e", "C:\\x", strings.Repeat("é", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := CleanName(s)
		if got == "" || len(got) > 255 || !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) || strings.ContainsAny(got, "/\\\x00\n\r\u202e") {
			t.Errorf("CleanName(%q) = %q", s, got)
		}
		if again := CleanName(got); again != got {
			t.Errorf("CleanName(%q) = %q, and of that %q", s, got, again)
		}
	})
}
