package realtime

import (
	"github.com/gorilla/websocket"

	"tandem/chat"
)

// Tutorial frames the events that the page of the Django Channels tutorial knows, like WebSocket. It leaves out the
// others, about which the page would complain in its console; its ping is the WebSocket's own.
var Tutorial Framer = tutorial{}

type tutorial struct{ webSocket }

func (tutorial) Format() Format { return FormatTutorial }

func (t tutorial) Frame(dst []byte, typ string, cursor chat.Cursor, json []byte) []byte {
	switch typ {
	case "user_list", "user_join", "user_leave", "chat_message", "private_message", "private_message_delivered":
		return t.webSocket.Frame(dst, typ, cursor, json)
	case "ping":
		return appendWSFrame(dst, websocket.PingMessage, nil)
	}
	return dst
}

// BeginWith also sends e when the stream begins, after everything else. Call it before the stream is served.
func (s *Stream) BeginWith(e chat.Ephemeral) {
	s.opening = s.framer.Frame(s.opening, e.Type, chat.Cursor{}, e.JSON)
}
