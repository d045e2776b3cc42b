package rooms

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

	"tandem/e2e/harness"
	"tandem/program"
)

// world is one user at one of the programs that get the same calls.
type world struct {
	name   string
	client *harness.Client
	socket *harness.Stream // calls is used for commands; nil means REST
}

func (w world) call(method, target string, body []byte, contentType, key string) (harness.Answer, error) {
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
			content = harness.Raw(body)
		}
		return w.client.Try(method, target, content, headers...)
	}
	var content any
	switch {
	case contentType == "application/json":
		content = json.RawMessage(body)
	case body != nil:
		content = harness.Raw(body)
	}
	return w.socket.Call(method, target, content, headers...), nil
}

// worlds is a transport that makes each call in all worlds in turn, and fails if the answers differ.
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
	var first harness.Answer
	for i, w := range all {
		a, err := w.call(req.Method, target, body, req.Header.Get("Content-Type"), req.Header.Get("Idempotency-Key"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		if i == 0 {
			first = a
			continue
		}
		if a.Status != first.Status || !bytes.Equal(alike(a.Body), alike(first.Body)) {
			return nil, fmt.Errorf("responses differ:\n%s: %d %s\n%s: %d %s", all[0].name, first.Status, first.Body, w.name, a.Status, a.Body)
		}
	}
	return &http.Response{StatusCode: first.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: first.Header, Request: req,
		ContentLength: int64(len(first.Body)), Body: io.NopCloser(bytes.NewReader(first.Body))}, nil
}

var (
	times = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z"`)
	digit = regexp.MustCompile(`\d`)
	// online counts streams, which end shortly after their test has closed them.
	online = regexp.MustCompile(`"online":\d+`)
)

// alike returns a body without values that may differ. Of a time its form stays. Event ids stay, since the same calls
// in the same order have the same ids.
func alike(body []byte) []byte {
	body = times.ReplaceAllFunc(bytes.TrimSuffix(body, []byte("\n")), func(at []byte) []byte { return digit.ReplaceAll(at, []byte("0")) })
	return online.ReplaceAll(body, []byte(`"online":0`))
}

// differentialModel adds calls that the model does not cover and that change nothing.
type differentialModel struct{ *roomModel }

func (d differentialModel) Look(t *rapid.T) {
	at := rapid.Int64Range(max(0, d.start-3), d.head+3).Draw(t, "at")
	limit := rapid.IntRange(1, 5).Draw(t, "limit")
	word := rapid.SampledFrom([]string{"alp", "beta", "BETA gam", "δ", "小", "ё", "%", "_", "\"", "none"}).Draw(t, "word")
	messages := harness.RoomPath(d.name) + "/messages"
	targets := []string{
		fmt.Sprintf("%s?before=%d&limit=%d", messages, at, limit),
		fmt.Sprintf("%s?after=%d&limit=%d", messages, at, limit),
		fmt.Sprintf("%s?limit=%d&q=%s", messages, limit, url.QueryEscape(word)),
		harness.MessagePath(d.name, at),
		harness.RoomPath(d.name) + "/members",
		harness.RoomPath(d.name) + "/users",
		harness.RoomPath(d.name) + "/bans",
		"/v1/rooms",
		"/v1/rooms?limit=2",
		"/v1/users?q=e",
		"/v1/me",
		"/v1/private",
	}
	d.user(t).Do("GET", rapid.SampledFrom(targets).Draw(t, "target"), nil)
}

// Wrong makes a call that is refused, which must have the same words everywhere.
func (d differentialModel) Wrong(t *rapid.T) {
	c, id := d.user(t), d.head+rapid.Int64Range(1, 9).Draw(t, "beyond")
	messages := harness.RoomPath(d.name) + "/messages"
	calls := []func() harness.Answer{
		func() harness.Answer { return c.Do("POST", messages, map[string]any{"message": ""}) },
		func() harness.Answer { return c.Do("POST", messages, map[string]any{"message": "x\x00"}) },
		func() harness.Answer { return c.Do("POST", messages, map[string]any{"message": 7}) },
		func() harness.Answer { return c.Do("POST", messages, map[string]any{"message": "x", "reply_to": id}) },
		func() harness.Answer { return c.Do("POST", messages, harness.Raw(strings.Repeat("ё", 9000))) },
		func() harness.Answer {
			return c.Do("PATCH", harness.MessagePath(d.name, id), harness.NewMessage{Message: "x"})
		},
		func() harness.Answer { return c.Do("DELETE", harness.MessagePath(d.name, id), nil) },
		func() harness.Answer {
			return c.Do("PUT", harness.MessagePath(d.name, id)+"/reactions/"+url.PathEscape("👍"), nil)
		},
		func() harness.Answer { return c.Do("PUT", harness.RoomPath(d.name)+"/members/nobody", nil) },
		func() harness.Answer { return c.Do("DELETE", harness.RoomPath(d.name)+"/bans/nobody", nil) },
		func() harness.Answer {
			return c.Do("PUT", harness.RoomPath(d.name)+"/read", map[string]int64{"id": -1})
		},
		func() harness.Answer { return c.Do("GET", messages+"?limit=0", nil) },
		func() harness.Answer { return c.Do("GET", messages+"?before=1&after=1", nil) },
		func() harness.Answer { return c.Do("GET", harness.RoomPath("no-such")+"/messages", nil) },
	}
	i := rapid.IntRange(0, len(calls)-1).Draw(t, "call")
	if a := calls[i](); a.Status < 400 && !strings.Contains(a.Call, "/bans/") {
		t.Fatalf("%s: got %d: %s", a.Call, a.Status, harness.Clip(a.Body))
	}
}

// The same calls have the same answers on SQLite and PostgreSQL, over REST and as WebSocket commands, byte for byte
// except for times; and the answers match the model.
func TestStoresAndTransportsAnswerAlike(t *testing.T) {
	// Not parallel: on a busy machine one of the databases may answer 503, so that the answers differ.
	names := []string{"ada", "bob", "eve"}
	users := make([]*harness.Client, len(names))
	at := make([]worlds, len(names))
	for i, kind := range []string{"SQLite, REST", "SQLite, WebSocket", "PostgreSQL, REST", "PostgreSQL, WebSocket"} {
		p := harness.StartProgram(t, func(cfg *program.Settings) {
			cfg.DatabaseURL = ""
			if strings.HasPrefix(kind, "PostgreSQL") {
				cfg.DatabaseURL = harness.EmptyDatabase(t)
			}
		})
		for u, name := range names {
			c := p.Signup(t, name)
			c.Enter("lobby")
			w := world{name: kind, client: c}
			s := c.Open(harness.OverWS, "room=lobby")
			if s.Opening(); strings.HasSuffix(kind, "WebSocket") {
				w.socket = s
			}
			if i == 0 {
				users[u] = c.In(t)
			}
			at[u] = append(at[u], w)
		}
	}
	for u, c := range users {
		c.HTTP = &http.Client{Transport: at[u]}
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
			r.replay(rt, w.client, harness.OverWS, since)
		}
	})
}
