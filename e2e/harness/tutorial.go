package harness

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TutorialPage uses a WebSocket as the page of the Django Channels tutorial does.
type TutorialPage struct {
	t       *testing.T
	Conn    *websocket.Conn
	Frames  chan []byte
	Refused *http.Response
}

func (c *Client) Tutorial(path string, header http.Header) *TutorialPage {
	c.T.Helper()
	conn, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(c.Server.URL, "http")+path, header)
	page := &TutorialPage{t: c.T, Conn: conn, Frames: make(chan []byte, 256)}
	if err != nil {
		if resp == nil {
			c.T.Fatal(err)
		}
		page.Refused = resp
		return page
	}
	c.T.Cleanup(func() { conn.Close() })
	go func() {
		defer close(page.Frames)
		for {
			_, frame, err := conn.ReadMessage()
			if err != nil {
				return
			}
			page.Frames <- frame
		}
	}()
	return page
}

func (p *TutorialPage) Say(text string) {
	p.t.Helper()
	if err := p.Conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// Next returns the next frame, which must be of that type.
func (p *TutorialPage) Next(kind string) (Event, reply) {
	p.t.Helper()
	select {
	case frame := <-p.Frames:
		if kind == "reply" {
			r, err := ParseReply(frame)
			if err != nil {
				p.t.Fatal(err)
			}
			return Event{}, r
		}
		e, err := ParseEvent(frame)
		if err != nil || e.Type != kind {
			p.t.Fatalf("waiting for a %s, got %s %v", kind, frame, err)
		}
		return e, reply{}
	case <-time.After(Patience):
		p.t.Fatalf("got no %s", kind)
	}
	return Event{}, reply{}
}

func (c *Client) BearerHeader() http.Header {
	return http.Header{"Authorization": {"Bearer " + c.AccessToken}}
}
