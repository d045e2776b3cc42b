package program

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// operationCall is how an operation of openapi.yaml is called, so far as its path goes.
type operationCall struct {
	method, target string
	pattern        string
	query          []*openapi3.Parameter
}

// everyOperation are the calls of all operations, in an order that stays, in a room and with a user and a message that
// are there.
func everyOperation(room, user string, message int64) (calls []operationCall) {
	fill := strings.NewReplacer("{room}", room, "{username}", user, "{id}", fmt.Sprint(message), "{emoji}", "%F0%9F%91%8D")
	paths := contract().Paths.Map()
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

// isStream tells whether the answer to a call is a stream.
func (c operationCall) isStream() bool {
	return c.pattern == "/v1/events" || strings.HasPrefix(c.pattern, "/ws/")
}

// changes tells whether the call does something that calling it again would not do.
func (c operationCall) changes() bool { return c.method != http.MethodGet && !c.isStream() }

// operationsWorld is a server on which everyOperation finds what it names.
func operationsWorld(t *testing.T) (*client, []operationCall) {
	p := startProgram(t, func(cfg *Settings) { cfg.Admin = "admin:correct horse of admin" })
	p.logs.keepSecret("correct horse of admin")
	p.signup(t, "bob")
	admin := p.admin(t)
	admin.enter("lobby")
	admin.do("POST", "/v1/private/bob/messages", raw("psst")).want(201)
	return admin, everyOperation("lobby", "bob", admin.post("lobby", "hello").ID)
}

// sample is a value that a parameter may have.
func sample(p *openapi3.Parameter) string {
	switch s := p.Schema.Value; {
	case p.Name == "format":
		return "json" // which ends
	case len(s.Enum) > 0:
		return fmt.Sprint(s.Enum[0])
	case s.Type.Is("integer"):
		return "1"
	case s.Type.Is("boolean"):
		return "true"
	}
	return "a"
}

// An empty query parameter is one that is not there, with each operation and parameter that openapi.yaml has.
func TestEmptyParameterIsAnAbsentOne(t *testing.T) {
	t.Parallel()
	ada, calls := operationsWorld(t)
	tried := 0 // parameters
	for _, c := range calls {
		for _, p := range c.query {
			if c.changes() {
				t.Errorf("%s %s: this test does not know how to call what changes something by a query", c.method, c.pattern)
			}
			others := ""
			if c.isStream() && p.Name != "wait" {
				others = "wait=0&"
			}
			call := func(query string) answer {
				return ada.do(c.method, c.target+query, nil, "Accept: application/json")
			}
			without := call("?" + strings.TrimSuffix(others, "&"))
			for _, empty := range []string{p.Name + "=", p.Name, p.Name + "=&" + p.Name + "=", p.Name + "=&&"} {
				with := call("?" + others + empty)
				if with.status != without.status || c.pattern != "/v1/admin/stats" && !bytes.Equal(with.body, without.body) && with.status < 400 {
					t.Errorf("%s %s?%s: %d %s\nand without it %d %s", c.method, c.target, empty, with.status, clip(with.body), without.status, clip(without.body))
				}
			}
			tried++
			// The value that is given counts.
			value := p.Name + "=" + sample(p)
			one, two := call("?"+others+value), call("?"+others+p.Name+"=&"+value)
			if one.status != two.status || !bytes.Equal(one.body, two.body) && one.status < 400 {
				t.Errorf("%s %s?%s: %d %s\nand with an empty one before it %d %s", c.method, c.target, value, one.status, clip(one.body), two.status, clip(two.body))
			}
		}
	}
	if tried < 25 {
		t.Errorf("openapi.yaml has but %d query parameters", tried)
	}
	for _, target := range []string{"/v1/rooms?limit=4&after=", "/v1/users?q=", "/v1/rooms?after=", posting + "?before=&after=&limit=&q="} {
		ada.do("GET", target, nil).want(200)
	}
	ada.do("GET", posting+"?before=5&after=", nil).want(200)
	if s := ada.open(overSSE, "room=lobby&since=&history=&format=&site="); s.opening().Resumed {
		t.Error("an empty since is honoured as a cursor")
	}
	s := ada.open(overWS, "room=&room=lobby")
	s.opening()
	s.ask(`{"ref":"1","method":"GET","path":"/v1/rooms?after=&limit="}`).want(200)
}

// A parameter that is no list comes once: which of two is meant nobody can know.
func TestParameterThatComesTwiceIsRefused(t *testing.T) {
	t.Parallel()
	ada, calls := operationsWorld(t)
	for _, c := range calls {
		for _, p := range c.query {
			if p.Schema.Value.Type.Is("array") {
				continue
			}
			value := p.Name + "=" + sample(p)
			ada.do(c.method, c.target+"?"+value+"&"+value, nil, "Accept: application/json").wantProblem(400, "invalid_request", p.Name)
		}
		if c.isStream() {
			ada.do(c.method, c.target+"?ticket=a&ticket=b", nil).wantProblem(400, "invalid_request", "ticket")
		}
	}
	ada.open(overSSE, "room=lobby&room=lobby").opening()
}

// HEAD is answered as GET is, without a body, but where GET is a stream.
func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	ada, calls := operationsWorld(t)
	varies := []string{"Date", "X-Request-Id", "Content-Length", "Retry-After"}
	for _, c := range append(calls, operationCall{method: "GET", target: "/"}, operationCall{method: "GET", target: "/v1/rooms/nowhere"}, operationCall{method: "GET", target: "/v1/rooms?limit=x"}) {
		if c.method != http.MethodGet {
			continue
		}
		const plain = "Accept-Encoding: identity"
		head := ada.do("HEAD", c.target, nil, plain)
		if c.isStream() {
			if head.status != 405 {
				t.Errorf("HEAD %s: %d", c.target, head.status)
			}
			continue
		}
		get := ada.do("GET", c.target, nil, plain)
		if head.status != get.status || len(head.body) > 0 {
			t.Errorf("HEAD %s: %d with %d bytes, and GET %d", c.target, head.status, len(head.body), get.status)
		}
		if length := head.header.Get("Content-Length"); length != get.header.Get("Content-Length") && c.pattern != "/v1/admin/stats" {
			t.Errorf("HEAD %s: Content-Length is %q, with GET %q", c.target, length, get.header.Get("Content-Length"))
		}
		for _, name := range varies {
			head.header.Del(name)
			get.header.Del(name)
		}
		if fmt.Sprint(head.header) != fmt.Sprint(get.header) {
			t.Errorf("HEAD %s has the headers\n%v and GET\n%v", c.target, head.header, get.header)
		}
	}
	ada.withToken("no token").do("HEAD", "/v1/me", nil).want(401)
}

// Nothing that is for one who is logged in may be kept by a cache, errors and what gives out tokens included.
func TestAnswersAreNotStored(t *testing.T) {
	t.Parallel()
	ada, calls := operationsWorld(t)
	public := []string{"/openapi.yaml", "/.well-known/jwks.json"}
	for _, c := range calls {
		if c.isStream() || slices.Contains(public, c.pattern) {
			continue // streams say it in their own words, which every test looks at
		}
		var body any
		if c.method != http.MethodGet {
			body = map[string]any{"no": "such field"}
		}
		for who, caller := range map[string]*client{"ada": ada, "nobody": ada.server.visitor(t), "a stranger": ada.withToken("no token")} {
			if c.pattern == "/v1/auth/logout" && who == "ada" || c.method == http.MethodDelete && who == "ada" {
				continue // the last calls below
			}
			if got := caller.do(c.method, c.target, body); got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s as %s: %d with Cache-Control %q", c.method, c.pattern, who, got.status, got.header.Get("Cache-Control"))
			}
		}
	}
	ada.do("POST", "/v1/auth/ticket", nil).want(201)
	cyd := ada.server.visitor(t)
	for _, made := range []answer{
		cyd.do("POST", "/v1/auth/signup", credentials{"cyd", "correct horse of cyd"}).want(201),
		cyd.do("POST", "/v1/auth/login", credentials{"cyd", "correct horse of cyd"}).want(200).into(&cyd.session),
		cyd.do("POST", "/v1/auth/refresh", map[string]any{"refresh_token": cyd.RefreshToken}).want(200).into(&cyd.session),
		cyd.do("DELETE", "/v1/me", map[string]any{"current_password": "wrong"}).want(403),
		cyd.do("POST", "/v1/auth/logout", nil).want(204),
	} {
		if made.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d with Cache-Control %q", made.call, made.status, made.header.Get("Cache-Control"))
		}
	}
}

// A form is no message: neither its boundaries nor anything of it gets into a room. What curl -d sends is a text.
func TestFormIsNoMessage(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	p.signup(t, "bob")
	ada.enter("lobby")
	head := ada.head()
	form := "--b\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nhi\r\n--b--\r\n"
	for _, target := range []string{posting, "/v1/private/bob/messages"} {
		for _, kind := range []string{"multipart/form-data; boundary=b", "Multipart/Form-Data; boundary=b", "multipart/mixed; boundary=b", "multipart/form-data"} {
			for name, body := range map[string]any{"a form": raw(form), "a large one": raw(strings.Repeat(form, 2000)), "nothing": raw("")} {
				got := ada.do("POST", target, body, "Content-Type: "+kind).wantProblem(415, "unsupported_media_type", "Content-Type")
				if !strings.Contains(got.Detail, "curl -d") {
					t.Errorf("%s as %s: the detail does not say what to send: %s", name, kind, got.Detail)
				}
			}
		}
	}
	s := ada.open(overWS, "room=lobby")
	s.opening()
	s.ask(`{"ref":"1","method":"POST","path":"/v1/rooms/lobby/messages","headers":{"Content-Type":"multipart/form-data; boundary=b"},"body":"x"}`).want(415)
	if now := ada.head(); now != head {
		t.Errorf("the log's head was %d and is %d", head, now)
	}
	if e := ada.do("POST", posting, raw("hello"), "Content-Type: application/x-www-form-urlencoded").want(201).event(); e.Message != "hello" {
		t.Errorf("curl -d hello is %s", e.raw)
	}
}

// JSON with a key twice is refused wherever JSON is taken: another parser would read the other value.
func TestKeyThatComesTwiceIsRefused(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	p.signup(t, "bob")
	ada.enter("lobby")
	s := ada.open(overWS, "room=lobby")
	s.opening()
	head := ada.head()
	for _, c := range everyOperation("lobby", "bob", 1) {
		item := contract().Paths.Map()[c.pattern].GetOperation(c.method)
		if item.RequestBody == nil {
			continue
		}
		for _, body := range []string{`{"message":"a","message":"b"}`, `{"message":"a","m\u0065ssage":"b"}`, `{"x":{"y":[{"z":1,"z":1}]}}`} {
			ada.do(c.method, c.target, raw(body), asJSON).wantProblem(400, "invalid_json", "body")
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
		s.ask(frame).wantProblem(400, "invalid_json", "body")
	}
	if now := ada.head(); now != head {
		t.Errorf("the log's head was %d and is %d", head, now)
	}
}
