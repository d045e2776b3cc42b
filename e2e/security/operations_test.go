package security

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tandem/e2e/harness"
	"tandem/program"
)

// operationCall is a call of an operation in openapi.yaml, with its path filled in.
type operationCall struct {
	method, target string
	pattern        string
	query          []*openapi3.Parameter
}

// everyOperation returns calls of all operations in a fixed order, with a room, a user and a message that exist.
func everyOperation(room, user string, message int64) (calls []operationCall) {
	fill := strings.NewReplacer("{room}", room, "{username}", user, "{id}", fmt.Sprint(message), "{emoji}", "%F0%9F%91%8D")
	paths := harness.Contract().Paths.Map()
	for _, pattern := range slices.Sorted(maps.Keys(paths)) {
		operations := paths[pattern].Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			c := operationCall{method: method, target: fill.Replace(pattern), pattern: pattern}
			for _, p := range append(slices.Clone(paths[pattern].Parameters), operations[method].Parameters...) {
				if p.Value.In == openapi3.ParameterInQuery {
					c.query = append(c.query, p.Value)
				}
			}
			calls = append(calls, c)
		}
	}
	return calls
}

// isStream reports whether the answer to a call is a stream.
func (c operationCall) isStream() bool {
	return c.pattern == "/v1/events" || strings.HasPrefix(c.pattern, "/ws/")
}

// changes reports whether the call has an effect that repeating it would not have.
func (c operationCall) changes() bool { return c.method != http.MethodGet && !c.isStream() }

// operationsWorld is a server with everything that everyOperation names.
func operationsWorld(t *testing.T) (*harness.Client, []operationCall) {
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Admin = "admin:correct horse of admin" })
	p.Logs.KeepSecret("correct horse of admin")
	p.Signup(t, "bob")
	admin := p.Admin(t)
	admin.Enter("lobby")
	admin.Do("POST", "/v1/private/bob/messages", harness.Raw("psst")).Want(201)
	return admin, everyOperation("lobby", "bob", admin.Post("lobby", "hello").ID)
}

// sample returns a valid value for a parameter.
func sample(p *openapi3.Parameter) string {
	switch s := p.Schema.Value; {
	case p.Name == "format":
		return "json" // so that the poll ends
	case len(s.Enum) > 0:
		return fmt.Sprint(s.Enum[0])
	case s.Type.Is("integer"):
		return "1"
	case s.Type.Is("boolean"):
		return "true"
	}
	return "a"
}

// An empty query parameter counts as absent, for every operation and parameter in openapi.yaml.
func TestEmptyParameterEqualsAbsentOne(t *testing.T) {
	t.Parallel()
	ada, calls := operationsWorld(t)
	tried := 0 // of the path
	for _, c := range calls {
		for _, p := range c.query {
			if strings.HasSuffix(c.pattern, "/files") && p.Name == "name" {
				var without, with struct{ Name, Code string }
				ada.Do(c.method, c.target, harness.Raw("text")).Into(&without)
				ada.Do(c.method, c.target+"?name=", harness.Raw("text")).Into(&with)
				if with != without {
					t.Errorf("%s %s: got %+v, but with an empty name %+v", c.method, c.target, without, with)
				}
				continue
			}
			if c.changes() {
				t.Errorf("%s %s: this test cannot call operations that change something and have query parameters", c.method, c.pattern)
			}
			others := ""
			if c.isStream() && p.Name != "wait" {
				others = "wait=0&"
			}
			call := func(query string) harness.Answer {
				return ada.Do(c.method, c.target+query, nil, "Accept: application/json")
			}
			without := call("?" + strings.TrimSuffix(others, "&"))
			for _, empty := range []string{p.Name + "=", p.Name, p.Name + "=&" + p.Name + "=", p.Name + "=&&"} {
				with := call("?" + others + empty)
				if with.Status != without.Status || c.pattern != "/v1/admin/stats" && !bytes.Equal(with.Body, without.Body) && with.Status < 400 {
					t.Errorf("%s %s?%s: got %d %s\nwithout the parameter %d %s", c.method, c.target, empty, with.Status, harness.Clip(with.Body), without.Status, harness.Clip(without.Body))
				}
			}
			tried++
			// A value that is given counts.
			value := p.Name + "=" + sample(p)
			one, two := call("?"+others+value), call("?"+others+p.Name+"=&"+value)
			if one.Status != two.Status || !bytes.Equal(one.Body, two.Body) && one.Status < 400 {
				t.Errorf("%s %s?%s: got %d %s\nwith an empty one before it %d %s", c.method, c.target, value, one.Status, harness.Clip(one.Body), two.Status, harness.Clip(two.Body))
			}
		}
	}
	if tried < 25 {
		t.Errorf("found only %d query parameters in openapi.yaml", tried)
	}
	for _, target := range []string{"/v1/rooms?limit=4&after=", "/v1/users?q=", "/v1/rooms?after=", harness.Posting + "?before=&after=&limit=&q="} {
		ada.Do("GET", target, nil).Want(200)
	}
	ada.Do("GET", harness.Posting+"?before=5&after=", nil).Want(200)
	if s := ada.Open(harness.OverSSE, "room=lobby&since=&history=&format=&site="); s.Opening().Resumed {
		t.Error("an empty since is accepted as a cursor")
	}
	s := ada.Open(harness.OverWS, "room=&room=lobby")
	s.Opening()
	s.Ask(`{"ref":"1","method":"GET","path":"/v1/rooms?after=&limit="}`).Want(200)
}

// A parameter that is not a list may be given only once: it would be unclear which one counts.
func TestRepeatedParameterIsRefused(t *testing.T) {
	t.Parallel()
	ada, calls := operationsWorld(t)
	for _, c := range calls {
		for _, p := range c.query {
			if p.Schema.Value.Type.Is("array") {
				continue
			}
			value := p.Name + "=" + sample(p)
			ada.Do(c.method, c.target+"?"+value+"&"+value, nil, "Accept: application/json").WantProblem(400, "invalid_request", p.Name)
		}
		if c.isStream() {
			ada.Do(c.method, c.target+"?ticket=a&ticket=b", nil).WantProblem(400, "invalid_request", "ticket")
		}
	}
	ada.Open(harness.OverSSE, "room=lobby&room=lobby").Opening()
}

// HEAD is answered like GET without a body, except for streams.
func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	ada, calls := operationsWorld(t)
	varies := []string{"Date", "X-Request-Id", "Content-Length", "Retry-After"}
	for _, c := range append(calls, operationCall{method: "GET", target: "/"}, operationCall{method: "GET", target: "/v1/rooms/nowhere"}, operationCall{method: "GET", target: "/v1/rooms?limit=x"}) {
		if c.method != http.MethodGet {
			continue
		}
		const plain = "Accept-Encoding: identity"
		head := ada.Do("HEAD", c.target, nil, plain)
		if c.isStream() {
			if head.Status != 405 {
				t.Errorf("HEAD %s: got %d, want 405", c.target, head.Status)
			}
			continue
		}
		get := ada.Do("GET", c.target, nil, plain)
		if head.Status != get.Status || len(head.Body) > 0 {
			t.Errorf("HEAD %s: got %d with %d bytes, GET got %d", c.target, head.Status, len(head.Body), get.Status)
		}
		if length := head.Header.Get("Content-Length"); length != get.Header.Get("Content-Length") && c.pattern != "/v1/admin/stats" {
			t.Errorf("HEAD %s: Content-Length = %q, GET has %q", c.target, length, get.Header.Get("Content-Length"))
		}
		for _, name := range varies {
			head.Header.Del(name)
			get.Header.Del(name)
		}
		if fmt.Sprint(head.Header) != fmt.Sprint(get.Header) {
			t.Errorf("HEAD %s: headers =\n%v, GET has\n%v", c.target, head.Header, get.Header)
		}
	}
	ada.WithToken("no token").Do("HEAD", "/v1/me", nil).Want(401)
}

// Nothing for a logged-in user may be cached, including errors and answers that contain tokens.
func TestAnswersAreNotStored(t *testing.T) {
	t.Parallel()
	ada, calls := operationsWorld(t)
	public := []string{"/openapi.yaml", "/.well-known/jwks.json"}
	for _, c := range calls {
		if c.isStream() || slices.Contains(public, c.pattern) {
			continue // streams have their own headers, which the harness checks
		}
		var body any
		if c.method != http.MethodGet {
			body = map[string]any{"no": "such field"}
		}
		for who, caller := range map[string]*harness.Client{"ada": ada, "nobody": ada.Server.Visitor(t), "a stranger": ada.WithToken("no token")} {
			if c.pattern == "/v1/auth/logout" && who == "ada" || c.method == http.MethodDelete && who == "ada" {
				continue // the last calls below
			}
			if got := caller.Do(c.method, c.target, body); got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s as %s: got %d with Cache-Control %q, want no-store", c.method, c.pattern, who, got.Status, got.Header.Get("Cache-Control"))
			}
		}
	}
	ada.Do("POST", "/v1/auth/ticket", nil).Want(201)
	cyd := ada.Server.Visitor(t)
	for _, made := range []harness.Answer{
		cyd.Do("POST", "/v1/auth/signup", harness.Credentials{Username: "cyd", Password: "correct horse of cyd"}).Want(201),
		cyd.Do("POST", "/v1/auth/login", harness.Credentials{Username: "cyd", Password: "correct horse of cyd"}).Want(200).Into(&cyd.Session),
		cyd.Do("POST", "/v1/auth/refresh", map[string]any{"refresh_token": cyd.RefreshToken}).Want(200).Into(&cyd.Session),
		cyd.Do("DELETE", "/v1/me", map[string]any{"current_password": "wrong"}).Want(403),
		cyd.Do("POST", "/v1/auth/logout", nil).Want(204),
	} {
		if made.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d with Cache-Control %q, want no-store", made.Call, made.Status, made.Header.Get("Cache-Control"))
		}
	}
}

// A form is not a message: neither its boundaries nor its content are posted. The body that curl -d sends is a text.
func TestFormIsRefusedAsAMessage(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	p.Signup(t, "bob")
	ada.Enter("lobby")
	head := ada.Head()
	form := "--b\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nhi\r\n--b--\r\n"
	for _, target := range []string{harness.Posting, "/v1/private/bob/messages"} {
		for _, kind := range []string{"multipart/form-data; boundary=b", "Multipart/Form-Data; boundary=b", "multipart/mixed; boundary=b", "multipart/form-data"} {
			for name, body := range map[string]any{"a form": harness.Raw(form), "a large one": harness.Raw(strings.Repeat(form, 2000)), "nothing": harness.Raw("")} {
				got := ada.Do("POST", target, body, "Content-Type: "+kind).WantProblem(415, "unsupported_media_type", "Content-Type")
				if !strings.Contains(got.Detail, "curl -d") {
					t.Errorf("%s as %s: detail does not explain what to send: %s", name, kind, got.Detail)
				}
			}
		}
	}
	s := ada.Open(harness.OverWS, "room=lobby")
	s.Opening()
	s.Ask(`{"ref":"1","method":"POST","path":"/v1/rooms/lobby/messages","headers":{"Content-Type":"multipart/form-data; boundary=b"},"body":"x"}`).Want(415)
	if now := ada.Head(); now != head {
		t.Errorf("log head moved from %d to %d", head, now)
	}
	if e := ada.Do("POST", harness.Posting, harness.Raw("hello"), "Content-Type: application/x-www-form-urlencoded").Want(201).Event(); e.Message != "hello" {
		t.Errorf("message posted by curl -d hello = %s", e.Raw)
	}
}

// JSON with a duplicate key is refused everywhere: another parser would read the other value.
func TestRepeatedKeyIsRefused(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	_, backend := p.Backend(t)
	ada := p.Signup(t, "ada")
	p.Signup(t, "bob")
	ada.Enter("lobby")
	s := ada.Open(harness.OverWS, "room=lobby")
	s.Opening()
	head := ada.Head()
	for _, c := range everyOperation("lobby", "bob", 1) {
		item := harness.Contract().Paths.Map()[c.pattern].GetOperation(c.method)
		if item.RequestBody == nil || item.RequestBody.Value.Content["application/json"] == nil {
			continue
		}
		for _, body := range []string{`{"message":"a","message":"b"}`, `{"message":"a","m\u0065ssage":"b"}`, `{"x":{"y":[{"z":1,"z":1}]}}`} {
			caller := ada
			if c.pattern == "/v1/admin/sessions" {
				caller = backend
			}
			caller.Do(c.method, c.target, harness.Raw(body), harness.AsJSON).WantProblem(400, "invalid_json", "body")
		}
	}
	for _, frame := range []string{
		`{"type":"chat_message","room":"lobby","message":"a","message":"b"}`,
		`{"type":"chat_message","type":"user_typing","room":"lobby","message":"a"}`,
		`{"type":"chat_message","room":"lobby","message":"a","mess\u0061ge":"b"}`,
		`{"ref":"1","method":"POST","path":"/v1/rooms/lobby/messages","body":{"message":"a","message":"b"}}`,
		`{"ref":"1","method":"POST","method":"GET","path":"/v1/rooms/lobby/messages","body":{"message":"a"}}`,
		`{"ref":"1","method":"POST","path":"/v1/rooms/lobby/messages","headers":{"Idempotency-Key":"a","Idempotency-Key":"b"},"body":{"message":"a"}}`,
	} {
		s.Ask(frame).WantProblem(400, "invalid_json", "body")
	}
	if now := ada.Head(); now != head {
		t.Errorf("log head moved from %d to %d", head, now)
	}
}
