package realtime

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"tandem/chat"
)

// sseEvent and parseSSE implement WHATWG HTML §9.2.6 independently.
type sseEvent struct{ id, event, data string }

func parseSSE(stream string) (events []sseEvent) {
	var e sseEvent
	var data []string
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(stream), "\n") {
		if line == "" {
			if data != nil {
				e.data = strings.Join(data, "\n")
				events = append(events, e)
			}
			e, data = sseEvent{id: e.id}, nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			if !strings.Contains(value, "\x00") {
				e.id = value
			}
		case "event":
			e.event = value
		case "data":
			data = append(data, value)
		}
	}
	return events
}

// Whatever a message contains, it is one event with the same bytes, in SSE, as a line, and over a WebSocket.
func FuzzFrames(f *testing.F) {
	for _, s := range []string{"hi", "a\nb", "a\r\nb", "\n\ndata: x\n\n", "id: 1\n\n", "\u2028\u2029\u0085", strings.Repeat("x", 125), strings.Repeat("x", 200), strings.Repeat("x", 70_000), "\ufeff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		body, err := json.Marshal(map[string]string{"message": text})
		if err != nil {
			return
		}
		e := chat.Event{ID: 7, Type: chat.TypeChatMessage, Body: string(body[1:])}
		payload, cursor := e.JSON(), chat.Cursor{ID: 7, Log: "log"}

		next := chat.UserJoin("lobby", "ada")
		stream := SSE.Frame(SSE.Frame(nil, e.Type, cursor, payload), next.Type, chat.Cursor{}, next.JSON)
		got := parseSSE(string(stream))
		want := []sseEvent{{"7.log", "chat_message", string(payload)}, {"7.log", "user_join", string(next.JSON)}}
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("SSE reads %q\nwant %q", got, want)
		}

		lines := NDJSON.Frame(NDJSON.Frame(nil, e.Type, cursor, payload), next.Type, chat.Cursor{}, next.JSON)
		if want := string(payload) + "\n" + string(next.JSON) + "\n"; string(lines) != want || strings.Count(string(lines), "\n") != 2 {
			t.Errorf("NDJSON reads %q\nwant %q", lines, want)
		}

		near := bytes.NewBuffer(WebSocket.Frame(WebSocket.Frame(nil, e.Type, cursor, payload), next.Type, chat.Cursor{}, next.JSON))
		for _, want := range [][]byte{payload, next.JSON} {
			if got := readFrame(t, near); !bytes.Equal(got, want) {
				t.Errorf("WebSocket reads %q\nwant %q", got, want)
			}
		}
	})
}

// readFrame reads a server's text frame by RFC 6455 §5.2.
func readFrame(t *testing.T, r io.Reader) []byte {
	t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	if head[0] != 0x80|websocket.TextMessage || head[1]&0x80 != 0 {
		t.Fatalf("frame header = %x", head)
	}
	n, more := int(head[1]), 0
	switch n {
	case 126:
		n, more = 0, 2
	case 127:
		n, more = 0, 8
	}
	ext := make([]byte, more)
	if _, err := io.ReadFull(r, ext); err != nil {
		t.Fatal(err)
	}
	for _, b := range ext {
		n = n<<8 | int(b)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		t.Fatal(err)
	}
	return payload
}
