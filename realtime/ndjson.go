package realtime

import "tandem/chat"

// NDJSON frames events as lines.
var NDJSON Framer = ndjson{}

type ndjson struct{}

func (ndjson) Format() Format { return FormatNDJSON }

// Frame needs no escaping: chat's JSON contains no line breaks. The cursor is an event's id, or since in stream_open
// and ping.
func (ndjson) Frame(dst []byte, _ string, _ chat.Cursor, json []byte) []byte {
	return append(append(dst, json...), '\n')
}

func (ndjson) End(dst []byte, _ string) []byte { return dst }

func (ndjson) contentType() string { return "application/x-ndjson" }

func (ndjson) begin(dst []byte) []byte { return dst }
