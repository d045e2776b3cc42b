package chat

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/secure/precis"
)

// Hand-written JSON equals that of encoding/json.
func TestTextBody(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"", "", "a", "hi there", `"`, `\`, "<b>&", "\x00", "\n\t", "\x1f", "\x7f", "é", "\u2028", "😀", "\xff", "/", "}"}
	piece := func() string {
		return pieces[random.IntN(len(pieces))] + pieces[random.IntN(len(pieces))]
	}
	for range 20_000 {
		v := text{Room: piece(), User: piece(), Target: piece(), Message: piece() + piece(), SentAt: piece(), Nonce: piece(), ReplyTo: random.Int64N(3) * random.Int64()}
		if random.IntN(2) == 0 {
			v.Data = json.RawMessage([]string{`{}`, `{"a":[1.50,"<b>&\u00e9é"]}`, ``}[random.IntN(3)])
			v.Mentions = []string{"ada", "мария", "b.-_"}[:random.IntN(4)]
			v.MentionsAll, v.Thread = random.IntN(2) == 0, json.RawMessage([]string{``, `12`}[random.IntN(2)])
		}
		if random.IntN(10) == 0 {
			v.MessageID, v.EditedAt, v.Deleted = random.Int64N(2), piece(), random.IntN(2) == 0
		}
		if have, want := v.body(), body(v); have != want {
			t.Fatalf("%+v is %q, want %q", v, have, want)
		}
	}
}

// Names that skip preparation equal what PRECIS makes of them.
func TestPreparedNamesAreUnchanged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	prepared := 0
	for range 20_000 {
		var b strings.Builder
		for range 1 + random.IntN(66) {
			b.WriteByte("abcxyz0189_.-"[random.IntN(13)])
			if random.IntN(100) == 0 {
				b.WriteByte(byte(random.IntN(256)))
			}
		}
		name := b.String()
		if !isPrepared(name) {
			continue
		}
		prepared++
		if want, err := precis.UsernameCaseMapped.String(name); err != nil || want != name {
			t.Fatalf("%q is prepared as %q, %v", name, want, err)
		}
		if _, err := PrepareRoomName("room", name); (err == nil) != (len(name) <= 64 && name != "." && name != "..") {
			t.Fatalf("room name %q: %v", name, err)
		}
	}
	if prepared < 1000 {
		t.Errorf("only %d names recognized as prepared, want at least 1,000", prepared)
	}
}
