package valkey

import (
	"crypto/sha256"
	"log/slog"
	"testing"

	"tandem/panics"
)

// Nothing unsigned in a bus message is trusted, and no signed one panics.
func FuzzLetter(f *testing.F) {
	key := []byte("a key of the nodes")
	for _, s := range []string{
		`{"From":"b","Messages":[{"Commit":{"Log":"l","Events":[{"ID":1}]}}]}`, `{"From":"a","Messages":[{"Statement":{"Kind":"alive"}}]}`,
		`{"Messages":null}`, `[]`, `{`, ``, `{"From":"b","Messages":[{},{"Notice":null}]}`,
	} {
		f.Add([]byte(s))
		f.Add(sign(key, []byte(s)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b := NewBus(nil, "a", []byte("secret"), slog.New(slog.DiscardHandler))
		if l, ok := open(b.key, text); ok {
			t.Fatalf("open(%q): got %+v, want it refused", text, l)
		}
		signed := sign(b.key, text)
		before := panics.Total()
		b.take(string(text))
		b.take(string(signed))
		if panics.Total() != before {
			t.Error("take panicked")
		}
		if len(signed) > sha256.Size {
			signed[len(signed)-1] ^= 1
			if _, ok := open(b.key, signed); ok {
				t.Error("open of an altered letter: got it accepted, want it refused")
			}
		}
	})
}
