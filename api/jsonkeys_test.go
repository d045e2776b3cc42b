package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// repeatsKeySlowly does the same as repeatsKey with encoding/json's tokens.
func repeatsKeySlowly(t testing.TB, text string) bool {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var value func() bool
	value = func() bool {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("Token of %q: got %v", text, err)
		}
		repeated := false
		switch token {
		case json.Delim('{'):
			seen := make(map[string]int)
			for d.More() {
				key, err := d.Token()
				if err != nil {
					t.Fatalf("key of %q: got %v", text, err)
				}
				seen[key.(string)]++
				repeated = seen[key.(string)] > 1 || repeated
				repeated = value() || repeated
			}
			_, _ = d.Token()
		case json.Delim('['):
			for d.More() {
				repeated = value() || repeated
			}
			_, _ = d.Token()
		}
		return repeated
	}
	return value()
}

func TestRepeatedKeys(t *testing.T) {
	many := func(n int, last string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":{"a":1,"b":[{"a":2}]},`, i)
		}
		return "{" + b.String() + last + "}"
	}
	for text, want := range map[string]bool{
		`{"message":"a","message":"b"}`:                      true,
		`{"message":"a","Message":"b"}`:                      false,
		`{"message":"a","m\u0065ssage":"b"}`:                 true,
		`{"m\u0065ssage":"a","message":"b"}`:                 true,
		`{"\u006d":1,"\u006D":2}`:                            true,
		`{"a\"b":1,"a\"b":2}`:                                true,
		`{"a\\":1,"a":2}`:                                    false,
		`{"/":1,"\/":2}`:                                     true,
		`{"😀":1,"\ud83d\ude00":2}`:                           true,
		`{"":1,"":2}`:                                        true,
		`{"a":{"b":1,"b":2}}`:                                true,
		`[{"a":1},{"a":1}]`:                                  false,
		`[[{"a":1,"c":[{"a":{"a":[]}}],"a":1}]]`:             true,
		`{"a":{"a":{"a":1}},"b":{"a":1}}`:                    false,
		`{"a":"a","b":"a","c":["a","a","c"]}`:                false,
		`{"a":"\"","b":"\"a\":","c":",\"a\""}`:               false,
		`["a","a"]`:                                          false,
		`"a"`:                                                false,
		`{"a":[1,{"b":2}],"b":{"a":3},"c":[],"d":{},"a":{}}`: true,
		many(manyKeys-1, `"x":1`):                            false,
		many(manyKeys-1, `"k0":1`):                           true,
		many(manyKeys, `"k0":1`):                             true,
		many(manyKeys, `"k15":1`):                            true,
		many(100, `"x":1`):                                   false,
		many(100, `"k7":1`):                                  true,
		many(100, `"k99":1`):                                 true,
		many(100, `"k9\u0039":1`):                            true,
		many(100, `"x":1,"x":2`):                             true,
	} {
		if slow := repeatsKeySlowly(t, text); slow != want {
			t.Fatalf("repeatsKeySlowly(%.80q): got %t, want %t", text, slow, want)
		}
		if got := repeatsKey([]byte(text)); got != want {
			t.Errorf("repeatsKey(%.80q): got %t, want %t", text, got, want)
		}
		if err := checkJSON([]byte(text)); (err != nil) != want {
			t.Errorf("checkJSON(%.80q): got %v, want an error: %t", text, err, want)
		}
	}
}

// A post is checked without allocating, and a body full of keys in time linear in its length.
func TestLookingForKeysAllocatesNothing(t *testing.T) {
	post := []byte(`{"message":"hello, world","nonce":"n1","reply_to":12,"data":{"a":{"b":[1,2,{"c":3}]}}}`)
	if n := testing.AllocsPerRun(100, func() { repeatsKey(post) }); n > 0 {
		t.Errorf("checking the keys of a post: %v allocations, want 0", n)
	}
}

// FuzzRepeatsKey turns its input into JSON that is mostly keys and nesting, and compares the fast implementation with
// the slow one.
func FuzzRepeatsKey(f *testing.F) {
	f.Add([]byte("{a1b2}"))
	f.Add([]byte("{a{b1}c[{a1}{a1}]A2}"))
	f.Add([]byte("{a1b1c1d1e1f1g1h1i1j1k1l1m1n1o1p1q1r1B1}"))
	f.Fuzz(func(t *testing.T, program []byte) {
		text := writeJSON(program)
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q wrote %q", program, text)
		}
		if tooDeep([]byte(text)) {
			return
		}
		if got, want := repeatsKey([]byte(text)), repeatsKeySlowly(t, text); got != want {
			t.Errorf("%s: %v, and by its tokens %v", text, got, want)
		}
	})
}

// writeJSON interprets a program: brackets open and close, a letter is a key or a string, a capital letter the same
// with an escape, and everything else is a number.
func writeJSON(program []byte) string {
	var b strings.Builder
	var open []byte // the closing bracket of each open one
	wantsKey, empty := false, true
	next := func() {
		if len(open) > 0 && !empty {
			b.WriteString(", ")
		}
		empty = false
	}
	b.WriteString("[")
	open = append(open, ']')
	for _, c := range program {
		in := open[len(open)-1]
		if c == '}' || c == ']' {
			if len(open) == 1 {
				continue
			}
			if in == '}' && !wantsKey {
				b.WriteString("0")
			}
			b.WriteByte(in)
			open = open[:len(open)-1]
			empty, wantsKey = false, open[len(open)-1] == '}'
			continue
		}
		text := fmt.Sprint(c)
		switch {
		case c >= 'a' && c <= 'z':
			text = `"` + string(rune(c)) + `"`
		case c >= 'A' && c <= 'Z':
			text = fmt.Sprintf(`"\u%04x"`, c|0x20)
		case c == '{', c == '[':
			text = string(rune(c))
		}
		if in == '}' && wantsKey {
			next()
			if text[0] != '"' {
				text = `"\\k\""`
			}
			b.WriteString(text + ":")
			wantsKey = false
			continue
		}
		if in == ']' {
			next()
		}
		b.WriteString(text)
		switch c {
		case '{':
			open, wantsKey, empty = append(open, '}'), true, true
		case '[':
			open, empty = append(open, ']'), true
		default:
			wantsKey = in == '}'
		}
	}
	for len(open) > 0 {
		in := open[len(open)-1]
		if in == '}' && !wantsKey {
			b.WriteString("0")
		}
		b.WriteByte(in)
		open = open[:len(open)-1]
		wantsKey = true
	}
	return b.String()
}

func BenchmarkRepeatsKey(b *testing.B) {
	post := []byte(`{"message":"hello, world, this is a message as people send them","nonce":"n1"}`)
	b.SetBytes(int64(len(post)))
	for b.Loop() {
		repeatsKey(post)
	}
}
