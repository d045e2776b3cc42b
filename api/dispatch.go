package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"tandem/chat"
)

// socketKey is the context key for the viewer of a command's connection.
type socketKey struct{}

// dispatch routes a command of v, as over HTTP.
func (s *Server) dispatch(ctx context.Context, v chat.Viewer, cmd command) *recorder {
	u, err := url.ParseRequestURI(cmd.path)
	if err != nil || u.Scheme != "" || u.Host != "" {
		return s.refuse(ctx, badField("path", "write a path like /v1/rooms/lobby, percent-encoded, with its query"), 0)
	}
	if !overSocket(u.Path) {
		return s.refuse(ctx, errNotOverSocket, 0)
	}
	u.Path = s.base + u.Path // a command's path is one of openapi.yaml, without a base
	if u.RawPath != "" {
		u.RawPath = s.base + u.RawPath
	}
	r := newRequest(context.WithValue(ctx, socketKey{}, v), cmd, u)
	w := &recorder{header: make(http.Header)}
	s.echo.ServeHTTP(w, r)
	if w.tooLong || w.body.Len() > 0 && !isJSON(w.header.Get("Content-Type")) {
		return s.refuse(ctx, errNotOverSocket, 0)
	}
	return w
}

func newRequest(ctx context.Context, cmd command, u *url.URL) *http.Request {
	r := &http.Request{
		Method: cmd.method, URL: u, RequestURI: cmd.path, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: cmd.header, Body: http.NoBody,
	}
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	if cmd.body != nil {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(cmd.body)), int64(len(cmd.body))
		if r.Header.Get("Content-Type") == "" {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	return r.WithContext(ctx)
}

var errNotOverSocket = errors.New("this is not available over the WebSocket; call it over HTTP")

// overSocket reports whether a path is in a part of the API that may be called over the WebSocket. The others return
// credentials or streams.
func overSocket(path string) bool {
	rest, in := strings.CutPrefix(path, "/v1/")
	first, _, _ := strings.Cut(rest, "/")
	return in && first != "auth" && first != "tokens" && first != "events"
}

// offSocket are the other operations that may not: they return credentials, or transfer files.
var offSocket = []string{"createSession", "createInlet", "uploadFile", "uploadPrivateFile", "uploadMyFile", "getFile"}

// keepOffSocket refuses commands that call one of offSocket, by the route that the router has found.
func (s *Server) keepOffSocket() echo.MiddlewareFunc {
	off := make(map[string]bool)
	for _, id := range offSocket {
		r := s.operations[id].route
		path := s.base + strings.NewReplacer("{", ":", "}", "").Replace(r.Path) // as Echo writes it
		off[r.Method+" "+path] = true
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if r.Context().Value(socketKey{}) != nil && off[r.Method+" "+c.Path()] {
				return errNotOverSocket
			}
			return next(c)
		}
	}
}

// refuse returns err as a problem for the client.
func (s *Server) refuse(ctx context.Context, err error, wait time.Duration) *recorder {
	w := &recorder{header: make(http.Header)}
	if wait > 0 {
		w.header.Set("Retry-After", strconv.Itoa(seconds(wait)))
	}
	s.problem(err, s.echo.NewContext((&http.Request{Method: "-", URL: &url.URL{}}).WithContext(ctx), w))
	return w
}

// maxReply bounds what a reply keeps in memory. A page of the longest possible messages is a quarter of it.
const maxReply = 8 << 20

// recorder is the http.ResponseWriter of a command.
type recorder struct {
	header  http.Header
	status  int
	body    bytes.Buffer
	tooLong bool
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.tooLong = w.tooLong || w.body.Len()+len(p) > maxReply; w.tooLong {
		return 0, errNotOverSocket
	}
	return w.body.Write(p)
}

// replyHeaders are needed to understand a problem.
var replyHeaders = []string{"Retry-After", "Allow"}

// reply returns the reply's frame; ref is JSON, or nil. The body has the same bytes as over HTTP.
func (w *recorder) reply(ref []byte) []byte {
	b := []byte(`{"type":"reply"`)
	if ref != nil {
		b = append(append(b, `,"ref":`...), ref...)
	}
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	names := replyHeaders
	if w.status >= http.StatusInternalServerError {
		names = append(names[:len(names):len(names)], headerRequestID) // to find the reason in the log
	}
	headers := map[string]string{}
	for _, name := range names {
		if value := w.header.Get(name); value != "" {
			headers[name] = value
		}
	}
	if len(headers) > 0 {
		text, _ := json.Marshal(headers) // strings always encode
		b = append(append(b, `,"headers":`...), text...)
	}
	if body := bytes.TrimSuffix(w.body.Bytes(), []byte("\n")); len(body) > 0 {
		b = append(append(b, `,"body":`...), body...)
	}
	return append(b, '}')
}
