package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/websocket"
	"github.com/labstack/echo/v4"

	"tandem/chat"
	"tandem/realtime"
)

// openTutorial serves GET /ws/chat/{room}/ like the consumer of the Django Channels tutorial: the room is created if it
// does not exist, and the stream uses the tutorial's events.
func (s *Server) openTutorial(c echo.Context) error {
	r := c.Request()
	ctx := r.Context()
	if !websocket.IsWebSocketUpgrade(r) {
		return &fault{http.StatusUpgradeRequired, "upgrade_required", "Upgrade required",
			"This endpoint is a WebSocket; use /v1/events for plain HTTP.", nil}
	}
	if err := realtime.CheckHandshake(r); err != nil {
		return err
	}
	name := c.Param("room")
	if r.URL.RawPath != "" { // decoded as the spec's validation does
		name, _ = url.PathUnescape(name)
	}
	v, settle, err := s.streamViewer(c, r.URL.Query())
	if err != nil {
		return err
	}
	if v.User == 0 {
		return errMissingToken // the tutorial's page posts
	}
	room, err := s.Chat.Room(ctx, v, name)
	if errors.Is(err, chat.ErrRoomNotFound) {
		room, _, err = s.Chat.Enter(ctx, v, name)
	}
	if err != nil {
		settle(err)
		return err
	}
	s.setStreamLimit(c.Response().Header())
	stream, err := s.Hub.Open(ctx, v, realtime.Tutorial, realtime.Request{Rooms: []string{room.Name}})
	settle(err)
	switch {
	case errors.Is(err, realtime.ErrTooManyStreams):
		if stream, err = s.Hub.Refuse(v, realtime.Tutorial); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		stream.BeginWith(chat.UserJoin(room.Name, v.Name)) // the tutorial also sends it to the new user
	}
	return stream.ServeWebSocket(c.Response(), r, func(v chat.Viewer) realtime.Handler {
		return tutorial{s.commander(v, room.Name)}.answer
	})
}

// tutorial answers what the tutorial's page sends.
type tutorial struct{ *commander }

// answer is a realtime.Handler. The page does not know replies, and complains about them in its console: it only gets
// one if a frame was refused.
func (t tutorial) answer(ctx context.Context, text []byte) ([]byte, error) {
	cmd, err := t.command(text)
	a, err := t.do(ctx, cmd, err)
	if a.status < http.StatusBadRequest {
		return nil, err
	}
	return a.reply(nil), err
}

// command returns the post in {"message": …}, or the private message if it is "/pm NAME TEXT".
func (t tutorial) command(text []byte) (command, error) {
	f, err := parseFrame(text)
	if err != nil {
		return command{}, err
	}
	message, has, err := f.text("message")
	switch {
	case err != nil:
		return command{}, err
	case !has:
		return command{}, badField("message", "write a frame like {\"message\": \"hello\"}")
	}
	path := "/v1/rooms/" + url.PathEscape(t.room) + "/messages"
	if private, is := strings.CutPrefix(message+" ", "/pm "); is {
		target, text, _ := strings.Cut(strings.TrimSuffix(private, " "), " ")
		if target == "" || text == "" {
			return command{}, badField("message", "write a private message like /pm ada hello")
		}
		path, message = "/v1/private/"+url.PathEscape(target)+"/messages", text
	}
	body, err := json.Marshal(map[string]string{"message": message})
	return command{method: http.MethodPost, path: path, body: body}, err
}
