package api

import "bytes"

// These functions walk valid JSON (see checkJSON) without decoding it.

// eachMember calls f for each member of an object, with its name and value as written, until f returns false. It then
// returns false, as it does if data is not an object or a name has escapes.
func eachMember(data []byte, f func(name, value []byte) bool) bool {
	data = bytes.Trim(data, jsonSpace)
	if data[0] != '{' {
		return false
	}
	for data = skipSpace(data[1:]); data[0] != '}'; data = skipComma(data) {
		end, escaped := stringEnd(data, 1)
		name := data[1:end]
		data = skipSpace(skipSpace(data[end+1:])[1:]) // after the colon
		end = valueEnd(data)
		if escaped || !f(name, data[:end]) {
			return false
		}
		data = data[end:]
	}
	return true
}

// eachItem is eachMember for the items of an array.
func eachItem(data []byte, f func(item []byte) bool) bool {
	if data[0] != '[' {
		return false
	}
	for data = skipSpace(data[1:]); data[0] != ']'; data = skipComma(data) {
		end := valueEnd(data)
		if !f(data[:end]) {
			return false
		}
		data = data[end:]
	}
	return true
}

// valueEnd returns where the value ends with which data begins.
func valueEnd(data []byte) int {
	switch data[0] {
	case '"':
		end, _ := stringEnd(data, 1)
		return end + 1
	case '{', '[':
		depth := 0
		for i := 0; ; i++ {
			switch data[i] {
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			case '"':
				i, _ = stringEnd(data, i+1)
			}
		}
	}
	if end := bytes.IndexAny(data, ",}]"+jsonSpace); end >= 0 {
		return end
	}
	return len(data)
}

// skipComma skips the comma after a value, if there is one.
func skipComma(data []byte) []byte {
	if data = skipSpace(data); data[0] == ',' {
		return skipSpace(data[1:])
	}
	return data
}

const jsonSpace = " \t\r\n"

func skipSpace(data []byte) []byte {
	for len(data) > 0 && (data[0] == ' ' || data[0] == '\t' || data[0] == '\r' || data[0] == '\n') {
		data = data[1:]
	}
	return data
}
