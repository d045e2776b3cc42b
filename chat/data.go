package chat

import (
	"bytes"
	"encoding/json"
)

// MaxData is the longest data of a message or an event, in bytes as sent.
const MaxData = 8 << 10

// maxDataDepth is how deep data may nest; the object itself is the first level.
const maxDataDepth = 16

// prepareData returns an app's JSON object as it is stored and sent: the bytes as received, without white space between
// tokens. It returns an *Invalid if it is not an object, too long or too deep; nil stays nil. The caller has checked
// that data is valid JSON in valid UTF-8.
func prepareData(field string, data json.RawMessage, most int) (json.RawMessage, error) {
	if data == nil {
		return nil, nil
	}
	if len(data) > most {
		return nil, invalid(field, "%s can have at most %d bytes of JSON", field, most)
	}
	deepest, spaced := measure(data)
	if spaced {
		var b bytes.Buffer
		if err := json.Compact(&b, data); err != nil {
			return nil, err
		}
		data = b.Bytes()
	}
	switch {
	case len(data) == 0 || data[0] != '{':
		return nil, invalid(field, "%s is a JSON object", field)
	case deepest > maxDataDepth:
		return nil, invalid(field, "%s can nest at most %d levels deep", field, maxDataDepth)
	}
	return data, nil
}

// prepareDataChange is prepareData that also accepts null, which removes data.
func prepareDataChange(change json.RawMessage, most int) (json.RawMessage, error) {
	if string(change) == "null" {
		return change, nil
	}
	return prepareData("data", change, most)
}

// changeData applies a change: nil keeps data, null removes it.
func changeData(data, change json.RawMessage) json.RawMessage {
	switch string(change) {
	case "":
		return data
	case "null":
		return nil
	}
	return change
}

// measure returns how deep valid JSON nests, and whether there is white space between its tokens.
func measure(data []byte) (deepest int, spaced bool) {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		case ' ', '\t', '\r', '\n':
			spaced = true
		}
	}
	return deepest, spaced
}
