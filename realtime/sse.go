package realtime

import (
	"math/rand/v2"
	"strconv"

	"tandem/chat"
)

// SSE frames events as Server-Sent Events (WHATWG HTML §9.2).
var SSE Framer = sse{}

type sse struct{}

func (sse) Format() Format { return FormatSSE }

// Frame does not need to split data: chat's JSON has no line breaks outside its escapes.
func (sse) Frame(dst []byte, typ string, cursor chat.Cursor, json []byte) []byte {
	if cursor.Log != "" {
		dst = append(dst, "id: "...)
		dst = cursor.AppendTo(dst)
		dst = append(dst, '\n')
	}
	dst = append(dst, "event: "...)
	dst = append(dst, typ...)
	dst = append(dst, "\ndata: "...)
	dst = append(dst, json...)
	return append(dst, "\n\n"...)
}

func (sse) End(dst []byte, _ string) []byte { return dst }

func (sse) contentType() string { return "text/event-stream" }

// begin sets how long clients wait before reconnecting; the spread keeps them from reconnecting all at once.
func (sse) begin(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, "retry: "...), 1000+rand.N[int64](2000), 10)
	return append(dst, "\n\n"...)
}
