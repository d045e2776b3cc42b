package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tandem/testservers"
)

// world is one user at one of the programs that get the same calls.
type world struct {
	name   string
	client *client
	socket *stream // calls are commands on it; nil for REST
}

func (w world) call(method, target string, body []byte, contentType, key string) (answer, error) {
	var headers []string
	if key != "" {
		headers = append(headers, "Idempotency-Key: "+key)
	}
	if w.socket == nil {
		if contentType != "" {
			headers = append(headers, "Content-Type: "+contentType)
		}
		var content any
		if body != nil {
			content = raw(body)
		}
		return w.client.try(method, target, content, headers...)
	}
	var content any
	switch {
	case contentType == "application/json":
		content = json.RawMessage(body)
	case body != nil:
		content = raw(body)
	}
	return w.socket.call(method, target, content, headers...), nil
}

// worlds is a transport that makes each call in all of them, one after the other, and fails where the answers differ.
type worlds []world

func (all worlds) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body.Close()
	}
	target := req.URL.RequestURI()
	var first answer
	for i, w := range all {
		a, err := w.call(req.Method, target, body, req.Header.Get("Content-Type"), req.Header.Get("Idempotency-Key"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		if i == 0 {
			first = a
			continue
		}
		if a.status != first.status || !bytes.Equal(alike(a.body), alike(first.body)) {
			return nil, fmt.Errorf("the answers differ:\n%s %d %s\n%s %d %s", all[0].name, first.status, first.body, w.name, a.status, a.body)
		}
	}
	return &http.Response{StatusCode: first.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: first.header, Request: req,
		ContentLength: int64(len(first.body)), Body: io.NopCloser(bytes.NewReader(first.body))}, nil
}

var (
	times = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z"`)
	digit = regexp.MustCompile(`\d`)
	// online counts streams, which end a moment after their test has left them.
	online = regexp.MustCompile(`"online":\d+`)
)

// alike is a body without what may differ: of a time, its form stays. The ids of events stay as they are, since
// the same calls in the same order have the same.
func alike(body []byte) []byte {
	body = times.ReplaceAllFunc(bytes.TrimSuffix(body, []byte("\n")), func(at []byte) []byte { return digit.ReplaceAll(at, []byte("0")) })
	return online.ReplaceAll(body, []byte(`"online":0`))
}

// differentialModel also makes calls of which the model knows nothing, and which change nothing.
type differentialModel struct{ *roomModel }

func (d differentialModel) Look(t *rapid.T) {
	at := rapid.Int64Range(max(0, d.start-3), d.head+3).Draw(t, "at")
	limit := rapid.IntRange(1, 5).Draw(t, "limit")
	word := rapid.SampledFrom([]string{"alp", "beta", "BETA gam", "δ", "小", "ё", "%", "_", "\"", "none"}).Draw(t, "word")
	messages := roomPath(d.name) + "/messages"
	targets := []string{
		fmt.Sprintf("%s?before=%d&limit=%d", messages, at, limit),
		fmt.Sprintf("%s?after=%d&limit=%d", messages, at, limit),
		fmt.Sprintf("%s?limit=%d&q=%s", messages, limit, url.QueryEscape(word)),
		messagePath(d.name, at),
		roomPath(d.name) + "/members",
		roomPath(d.name) + "/users",
		roomPath(d.name) + "/bans",
		"/v1/rooms",
		"/v1/rooms?limit=2",
		"/v1/users?q=e",
		"/v1/me",
		"/v1/private",
	}
	d.user(t).do("GET", rapid.SampledFrom(targets).Draw(t, "target"), nil)
}

// Wrong is refused, with the same words everywhere.
func (d differentialModel) Wrong(t *rapid.T) {
	c, id := d.user(t), d.head+rapid.Int64Range(1, 9).Draw(t, "beyond")
	messages := roomPath(d.name) + "/messages"
	calls := []func() answer{
		func() answer { return c.do("POST", messages, map[string]any{"message": ""}) },
		func() answer { return c.do("POST", messages, map[string]any{"message": "x\x00"}) },
		func() answer { return c.do("POST", messages, map[string]any{"message": 7}) },
		func() answer { return c.do("POST", messages, map[string]any{"message": "x", "reply_to": id}) },
		func() answer { return c.do("POST", messages, raw(strings.Repeat("ё", 9000))) },
		func() answer { return c.do("PATCH", messagePath(d.name, id), newMessage{Message: "x"}) },
		func() answer { return c.do("DELETE", messagePath(d.name, id), nil) },
		func() answer { return c.do("PUT", messagePath(d.name, id)+"/reactions/"+url.PathEscape("👍"), nil) },
		func() answer { return c.do("PUT", roomPath(d.name)+"/members/nobody", nil) },
		func() answer { return c.do("DELETE", roomPath(d.name)+"/bans/nobody", nil) },
		func() answer { return c.do("PUT", roomPath(d.name)+"/read", map[string]int64{"id": -1}) },
		func() answer { return c.do("GET", messages+"?limit=0", nil) },
		func() answer { return c.do("GET", messages+"?before=1&after=1", nil) },
		func() answer { return c.do("GET", roomPath("no-such")+"/messages", nil) },
	}
	i := rapid.IntRange(0, len(calls)-1).Draw(t, "call")
	if a := calls[i](); a.status < 400 && !strings.Contains(a.call, "/bans/") {
		t.Fatalf("%s answered %d: %s", a.call, a.status, clip(a.body))
	}
}

// The same calls have the same answers on SQLite and on PostgreSQL, over REST and as WebSocket commands, byte for byte
// but for times; and what all of them answer is what the model has.
func TestStoresAndTransportsAnswerAlike(t *testing.T) {
	// Not beside the others: on a busy machine a database may answer 503, and the answers differ.
	names := []string{"ada", "bob", "eve"}
	users := make([]*client, len(names))
	at := make([]worlds, len(names))
	for i, kind := range []string{"SQLite, REST", "SQLite, WebSocket", "PostgreSQL, REST", "PostgreSQL, WebSocket"} {
		p := startProgram(t, func(cfg *Settings) {
			cfg.DatabaseURL = ""
			if strings.HasPrefix(kind, "PostgreSQL") {
				cfg.DatabaseURL = testservers.Database(t)
			}
		})
		for u, name := range names {
			c := p.signup(t, name)
			c.enter("lobby")
			w := world{name: kind, client: c}
			s := c.open(overWS, "room=lobby")
			if s.opening(); strings.HasSuffix(kind, "WebSocket") {
				w.socket = s
			}
			if i == 0 {
				users[u] = c.in(t)
			}
			at[u] = append(at[u], w)
		}
	}
	for u, c := range users {
		c.http = &http.Client{Transport: at[u]}
	}
	boundedChecks()
	rooms := 0
	rapid.Check(t, func(rt *rapid.T) {
		rooms++
		r := newRoomModel(fmt.Sprint("room", rooms), users)
		rt.Repeat(rapid.StateMachineActions(differentialModel{r}))
		since := rapid.Int64Range(r.start, r.head).Draw(rt, "since")
		u := rapid.IntRange(0, len(users)-1).Draw(rt, "reader")
		for _, w := range at[u] {
			r.replay(rt, w.client, overWS, since)
		}
	})
}
