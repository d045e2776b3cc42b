package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tandem/chat"
	"tandem/realtime"
)

// commander answers the frames of one WebSocket client, one at a time.
type commander struct {
	server *Server
	viewer chat.Viewer
	room   string // for frames that name none: the stream's only room, or empty
	frames throttle
}

func (s *Server) commander(v chat.Viewer, room string) *commander {
	return &commander{server: s, viewer: v, room: room, frames: newThrottle(s.Limits.Posts * framesPerPost)}
}

// commands returns the realtime.Commands of a stream of these rooms.
func (s *Server) commands(rooms []string) realtime.Commands {
	room := ""
	if len(rooms) == 1 {
		room = rooms[0]
	}
	return func(v chat.Viewer) realtime.Handler { return s.commander(v, room).answer }
}

var errFlood = errors.New("too many frames")

// answer is the realtime.Handler of /v1/events.
func (c *commander) answer(ctx context.Context, text []byte) ([]byte, error) {
	f, err := parseFrame(text)
	var cmd command
	if err == nil {
		cmd, err = f.command(c.room)
	}
	a, err := c.do(ctx, cmd, err)
	return a.reply(f.ref), err
}

// do calls the API, unless the frame cannot be read or there are too many; errFlood means that it is the last.
func (c *commander) do(ctx context.Context, cmd command, unreadable error) (*recorder, error) {
	wait, flood := c.frames.take(time.Now())
	if wait > 0 || flood {
		c.server.counts.frames.Add(1)
	}
	switch {
	case flood:
		return c.server.refuse(ctx, errRateLimited, wait), errFlood
	case wait > 0:
		return c.server.refuse(ctx, errRateLimited, wait), nil
	case unreadable != nil:
		return c.server.refuse(ctx, unreadable, 0), nil
	}
	return c.server.dispatch(ctx, c.viewer, cmd), nil
}

// command is a call of the REST API.
type command struct {
	method, path string
	header       http.Header
	body         []byte // nil for none
}

// frame is what a client sends: a JSON object, whose members are removed as they are read.
type frame struct {
	ref     json.RawMessage // as sent; nil for none
	members map[string]json.RawMessage
}

const maxRef = 64 // characters

func parseFrame(text []byte) (f frame, err error) {
	if err := checkJSON(text); err != nil {
		return f, err
	}
	if json.Unmarshal(text, &f.members) != nil || f.members == nil {
		return f, invalidJSON("a frame is a JSON object")
	}
	raw := f.members["ref"]
	ref, has, err := f.text("ref")
	switch {
	case err != nil:
		return f, err
	case utf8.RuneCountInString(ref) > maxRef:
		return f, badField("ref", "a ref can have at most %d characters", maxRef)
	case has:
		f.ref = raw
	}
	return f, nil
}

// text removes and returns a string member.
func (f frame) text(name string) (s string, has bool, err error) {
	raw, has := f.members[name]
	if !has {
		return "", false, nil
	}
	delete(f.members, name)
	if raw[0] != '"' {
		return "", true, badField(name, "%s is a string", name)
	}
	return s, true, json.Unmarshal(raw, &s)
}

// segment removes and returns a member that becomes part of a path.
func (f frame) segment(name, otherwise string) (string, error) {
	s, has, err := f.text(name)
	if !has {
		s = otherwise
	}
	if err == nil && s == "" {
		err = badField(name, "the frame says no %s", name)
	}
	return url.PathEscape(s), err
}

// none refuses the remaining members.
func (f frame) none() error {
	for name := range f.members {
		return badField(name, "a frame of this type has no such member")
	}
	return nil
}

// command returns the call that a frame stands for: a request, or a short form of one.
func (f frame) command(room string) (command, error) {
	kind, short, err := f.text("type")
	if err != nil {
		return command{}, err
	}
	if !short {
		return f.request()
	}
	switch kind {
	case "chat_message":
		name, err := f.segment("room", room)
		return f.post("/v1/rooms/"+name+"/messages", err)
	case "private_message":
		name, err := f.segment("target", "")
		return f.post("/v1/private/"+name+"/messages", err)
	case "custom_event":
		return f.event(room)
	case "user_typing":
		name, err := f.segment("room", room)
		if err == nil {
			err = f.none()
		}
		return command{method: http.MethodPost, path: "/v1/rooms/" + name + "/typing"}, err
	}
	return command{}, badField("type", "a frame's type must be chat_message, private_message, custom_event or user_typing; a request has none")
}

// post uses the rest of the frame as the body, which is validated like the operation's.
func (f frame) post(path string, err error) (command, error) {
	if err != nil {
		return command{}, err
	}
	body, err := encode(f.members)
	return command{method: http.MethodPost, path: path, body: body}, err
}

// event is a custom_event, in a room or to a target.
func (f frame) event(room string) (command, error) {
	if _, private := f.members["target"]; !private {
		name, err := f.segment("room", room)
		return f.post("/v1/rooms/"+name+"/events", err)
	}
	name, err := f.segment("target", "")
	return f.post("/v1/private/"+name+"/events", err)
}

// methods are the API's methods.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func (f frame) request() (cmd command, err error) {
	if cmd.method, _, err = f.text("method"); err != nil {
		return cmd, err
	}
	if !slices.Contains(methods, cmd.method) {
		return cmd, badField("method", "a request's method must be one of %s", strings.Join(methods, ", "))
	}
	if cmd.path, _, err = f.text("path"); err != nil {
		return cmd, err
	}
	if err := f.headers(&cmd); err != nil {
		return cmd, err
	}
	if err := f.body(&cmd); err != nil {
		return cmd, err
	}
	return cmd, f.none()
}

// commandHeaders are the headers that a command can have. Others are ignored: the caller, address and page were
// determined when the connection was opened.
var commandHeaders = []string{"Content-Type", "Idempotency-Key", headerRequestID}

func (f frame) headers(cmd *command) error {
	raw, has := f.members["headers"]
	delete(f.members, "headers")
	if !has {
		return nil
	}
	var given map[string]*string
	if json.Unmarshal(raw, &given) != nil || given == nil {
		return badField("headers", "headers must be an object of strings")
	}
	cmd.header = make(http.Header, len(given))
	for name, value := range given {
		if value == nil {
			return badField("headers", "headers must be an object of strings")
		}
		if slices.Contains(commandHeaders, http.CanonicalHeaderKey(name)) {
			cmd.header.Set(name, strings.Trim(*value, " \t"))
		}
	}
	return nil
}

// body returns JSON unchanged and, with another Content-Type, the text of a string.
func (f frame) body(cmd *command) error {
	raw, has := f.members["body"]
	delete(f.members, "body")
	if !has || string(raw) == "null" {
		return nil
	}
	if kind := cmd.header.Get("Content-Type"); kind == "" || isJSON(kind) {
		cmd.body = raw
		return nil
	}
	var text string
	if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return badField("body", "with a Content-Type other than JSON, the body must be a string")
	}
	cmd.body = []byte(text)
	return nil
}
