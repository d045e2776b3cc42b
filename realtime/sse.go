package realtime

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"tandem/chat"
)

// SSE frames events as Server-Sent Events (WHATWG HTML §9.2).
var SSE Framer = sse{}

type sse struct{}

func (sse) Format() Format { return FormatSSE }

// Frame needs no splitting of data: JSON as encoded by chat has no line breaks outside its escapes.
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

// ServeSSE answers with the stream and takes the connection over, so that nothing of net/http's stays in
// memory. Headers that w has are sent. Where it returns an error nothing was sent and the stream is dropped.
func (s *Stream) ServeSSE(w http.ResponseWriter) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.Drop()
		return fmt.Errorf("take the connection over: %w", err)
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 200 OK\r\n")
	h := w.Header().Clone()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform") // no-transform: compressors would hold events back
	h.Set("X-Accel-Buffering", "no")                 // nginx
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	// The stream ends with the connection, so its frames need no chunks around them (RFC 9112 §6.3).
	h.Set("Connection", "close")
	_ = h.Write(&head) // into memory
	// Clients wait so long before they come back; the spread keeps them from coming all at once.
	head.WriteString("\r\nretry: " + strconv.Itoa(1000+rand.N(2000)) + "\n\n")
	s.opening = append(head.Bytes(), s.opening...)

	go s.Serve(conn, func() error {
		discard := make([]byte, 64)
		for {
			if _, err := conn.Read(discard); err != nil {
				return err
			}
		}
	})
	return nil
}
