package api

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckJSON(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"a":1}`: true, `"x"`: true, ` {} `: true, `{"a":"\ud83d\ude00"}`: true, `{"a":"\\ud83d"}`: true, `"\u00e9"`: true, `"\\\\\\"`: true,
		"": false, `{`: false, `{} {}`: false, `{}x`: false, `{"a":}`: false, "{\"a\":\"\xff\"}": false, "\ufeff{}": false,
		`"\ud83d"`: false, `"\ude00"`: false, `"\ud83dx"`: false, `"\ud83d\u0041"`: false, `"\ude00\ud83d"`: false, `"\uD83D\uD83D\uDE00"`: false,
		strings.Repeat("[", 32) + strings.Repeat("]", 32): true, strings.Repeat("[", 33) + strings.Repeat("]", 33): false,
		`"` + strings.Repeat("[", 50) + `"`: true, `"\"` + strings.Repeat("[", 50) + `"`: true, strings.Repeat("[", 60_000): false,
	} {
		if err := checkJSON([]byte(text)); (err == nil) != ok {
			t.Errorf("checkJSON(%.40q): got %v, want ok %t", text, err, ok)
		}
	}
}

// What passes comes out of encoding/json unchanged.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":"\ud83d\ude00"}`, `"\ud83d"`, `"\\ud83d"`, `[[]]`, `"\u0000"`, `"\"`, `"\u12`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkJSON([]byte(s)) != nil {
			return
		}
		var v any
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			t.Fatalf("%q accepted, but is not JSON: %v", s, err)
		}
		if text, ok := v.(string); ok && strings.ContainsRune(text, utf8.RuneError) && !strings.Contains(s, "\ufffd") && !strings.Contains(strings.ToLower(s), `\ufffd`) {
			t.Errorf("%q silently changed to %q", s, text)
		}
	})
}
