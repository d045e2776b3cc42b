package realtime

import (
	"github.com/gorilla/websocket"

	"tandem/chat"
)

// Tutorial frames what the page of the Django Channels tutorial knows, as WebSocket does. Of the rest it would complain
// in its console: that is left out, and its ping is the WebSocket's own.
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

// BeginWith has the stream say e too when it begins, behind all else. It is called before the stream is served.
func (s *Stream) BeginWith(e chat.Ephemeral) {
	s.opening = s.framer.Frame(s.opening, e.Type, chat.Cursor{}, e.JSON)
}
