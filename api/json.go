package api

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// maxDepth is how deep JSON may nest. Nothing of ours nests more than a few levels.
const maxDepth = 32

// checkJSON refuses what encoding/json would repair or accept: invalid UTF-8 and unpaired surrogates, which it
// replaces, duplicate keys, and absurd depth. It also refuses syntax errors and trailing data.
func checkJSON(data []byte) error {
	if !utf8.Valid(data) {
		return invalidJSON("the body is not valid UTF-8")
	}
	if tooDeep(data) { // before the parser, which recurses
		return invalidJSON("the body nests deeper than 32")
	}
	if !json.Valid(data) {
		return invalidJSON("the body is not a single JSON value")
	}
	if loneSurrogate(data) {
		return invalidJSON("the body has half of a surrogate pair")
	}
	if repeatsKey(data) {
		return invalidJSON("an object in the body has a duplicate key")
	}
	return nil
}

// encode is json.Marshal, but passes on the app's data as received: json.Marshal would escape HTML characters in it.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

func invalidJSON(detail string) *fault {
	f := badField("body", "%s", detail)
	f.code, f.title = "invalid_json", "Invalid JSON"
	return f
}

func tooDeep(data []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// loneSurrogate examines the \u escapes of valid JSON.
func loneSurrogate(data []byte) bool {
	for i := 0; i+1 < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++ // the escaped character
		if data[i] != 'u' {
			continue
		}
		switch hex4(data[i+1:]) &^ 0x3ff {
		case 0xdc00:
			return true
		case 0xd800:
			rest := data[i+5:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' || hex4(rest[2:])&^0x3ff != 0xdc00 {
				return true
			}
			i += 6
		}
		i += 4
	}
	return false
}

func hex4(b []byte) (n int) {
	for _, c := range b[:4] {
		n <<= 4
		switch {
		case c <= '9':
			n |= int(c - '0')
		default:
			n |= int(c|0x20-'a') + 10
		}
	}
	return n
}
