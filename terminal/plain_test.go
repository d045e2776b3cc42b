package terminal

import "testing"

func TestPlainTextIsHarmlessToATerminal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"hello\twörld 👩‍🚀":            "hello\twörld 👩‍🚀",
		"\x1b[31mred\x1b[0m":          `\x1b[31mred\x1b[0m`,
		"\x1b]0;title\x07":            `\x1b]0;title\x07`,
		"\u009b31m":                   `\x9b31m`,
		"\x9b31m":                     "\ufffd31m", // no UTF-8
		"one\rtwo\ntwo\u2028three":    `one\x0dtwo\x0atwo\u2028three`,
		"\u202egnp.exe\u2066 \u200fx": `\u202egnp.exe\u2066 \u200fx`,
		"\x00\x08\x7f":                `\x00\x08\x7f`,
	} {
		if got := Plain(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func TestMessageLinesCannotImitateAnother(t *testing.T) {
	t.Parallel()
	if got, want := lines("hi\r\n12:00:00 bob: \x1b[2Kforged\n"), "hi\n    | 12:00:00 bob: "+`\x1b[2Kforged`; got != want {
		t.Errorf("lines = %q, want %q", got, want)
	}
}

func TestJSONOnATerminalIsUnchangedInMeaning(t *testing.T) {
	t.Parallel()
	if got, want := plainJSON("{\"message\":\"\u009b1m\u202ex\x7fé\"}"), `{"message":"\u009b1m\u202ex\u007fé"}`; got != want {
		t.Errorf("JSON = %s, want %s", got, want)
	}
}
