package api

import (
	"bytes"
	"encoding/json"
)

// manyKeys is how many keys of an object are compared one by one; a map has more. The quadratic way costs nothing for
// objects as clients send them, and the map keeps a body full of keys from costing more than its length.
const manyKeys = 16

// object is an object or array of which the end has not come.
type object struct {
	isArray bool
	first   int                 // its first key among those of all that are open
	seen    map[string]struct{} // its keys, once they are many
}

// repeatsKey tells whether an object in valid JSON has a key twice (RFC 8259 §4: what that means is anybody's guess,
// and parsers differ). A key that is written in another way, with escapes, is the same key. data nests no deeper than
// maxDepth. For objects of few keys without escapes nothing is allocated.
func repeatsKey(data []byte) bool {
	var (
		room  [2 * manyKeys][]byte
		keys  = room[:0] // of all that are open, outermost first
		open  [maxDepth + 1]object
		depth int
		isKey bool // a string that comes now is one
	)
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			depth++
			open[depth] = object{first: len(keys)}
			isKey = true
		case '[':
			depth++
			open[depth] = object{first: len(keys), isArray: true}
			isKey = false
		case '}', ']':
			keys = keys[:open[depth].first]
			depth--
			isKey = false
		case ',':
			isKey = !open[depth].isArray
		case '"':
			end, escaped := stringEnd(data, i+1)
			if isKey {
				key := data[i+1 : end]
				if escaped {
					key = unescape(data[i : end+1])
				}
				o := &open[depth]
				if o.has(keys[o.first:], key) {
					return true
				}
				keys = append(keys, key)
				isKey = false
			}
			i = end
		}
	}
	return false
}

// has tells whether key is among an object's keys, and notes it where they are many.
func (o *object) has(keys [][]byte, key []byte) bool {
	if len(keys) < manyKeys {
		for _, k := range keys {
			if bytes.Equal(k, key) {
				return true
			}
		}
		return false
	}
	if o.seen == nil {
		o.seen = make(map[string]struct{}, 2*manyKeys)
		for _, k := range keys {
			o.seen[string(k)] = struct{}{}
		}
	}
	if _, has := o.seen[string(key)]; has {
		return true
	}
	o.seen[string(key)] = struct{}{}
	return false
}

// stringEnd is where the string ends whose inside begins at i, and whether there are escapes in it.
func stringEnd(data []byte, i int) (end int, escaped bool) {
	for ; data[i] != '"'; i++ {
		if data[i] == '\\' {
			escaped = true
			i++
		}
	}
	return i, escaped
}

// unescape is what a string of valid JSON, with its quotes, means.
func unescape(quoted []byte) []byte {
	var s string
	_ = json.Unmarshal(quoted, &s) // it is valid
	return []byte(s)
}
