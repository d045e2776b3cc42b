package api

import (
	"bytes"
	"encoding/json"
	"slices"
)

// manyKeys is how many keys of an object are compared one by one; more are sorted. The quadratic way is fastest for
// typical objects, and sorting keeps a body full of keys from costing much more than its length.
const manyKeys = 16

// object is an object or array whose end has not been reached.
type object struct {
	isArray bool
	first   int // its first key among those of all open objects
}

// repeatsKey reports whether an object in valid JSON has a duplicate key (RFC 8259 §4: its meaning is undefined, and
// parsers differ). A key written with escapes is the same key. data nests no deeper than maxDepth. Objects with few
// keys and no escapes need no allocation.
func repeatsKey(data []byte) bool {
	var (
		room  [4 * manyKeys][]byte
		keys  = room[:0] // of all open objects, outermost first
		open  [maxDepth + 1]object
		depth int
		isKey bool // the next string is a key
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
			first := open[depth].first
			if repeats(keys[first:]) {
				return true
			}
			keys = keys[:first]
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
				keys = append(keys, key)
				isKey = false
			}
			i = end
		}
	}
	return false
}

// repeats reports whether keys has duplicates; it may sort them.
func repeats(keys [][]byte) bool {
	if len(keys) > manyKeys {
		slices.SortFunc(keys, bytes.Compare)
		for i := range keys[1:] {
			if bytes.Equal(keys[i], keys[i+1]) {
				return true
			}
		}
		return false
	}
	for i, key := range keys {
		for _, before := range keys[:i] {
			if bytes.Equal(key, before) {
				return true
			}
		}
	}
	return false
}

// stringEnd returns where the string whose inside begins at i ends, and whether it has escapes.
func stringEnd(data []byte, i int) (end int, escaped bool) {
	for ; data[i] != '"'; i++ {
		if data[i] == '\\' {
			escaped = true
			i++
		}
	}
	return i, escaped
}

// unescape decodes a string of valid JSON, given with its quotes.
func unescape(quoted []byte) []byte {
	var s string
	_ = json.Unmarshal(quoted, &s) // it is valid
	return []byte(s)
}
