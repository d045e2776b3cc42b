package program

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// lobbyStream is a user in the lobby with a stream of it.
func lobbyStream(t *testing.T, change ...func(*Settings)) (*testProgram, *client, *stream) {
	t.Helper()
	p := startProgram(t, change...)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	s := ada.open(overWS, "room=lobby")
	s.opening()
	return p, ada, s
}

// Every operation of the contract, those of tomorrow too, is answered over the socket with the status and the bytes
// that it has over HTTP. What would change something is called wrongly.
func TestEveryOperationIsTheSameOverTheSocket(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	ada.post("lobby", "<hi> 😀")
	compared := 0
	for pattern, item := range contract().Paths.Map() {
		for method := range item.Operations() {
			segments := strings.Split(pattern, "/")
			values := map[bool]string{true: "lobby", false: "a%20b"} // a name that none is
			for i, segment := range segments {
				if strings.HasPrefix(segment, "{") {
					segments[i] = values[method == "GET"]
				}
			}
			target := strings.Join(segments, "/")
			var body any
			if method != "GET" {
				body = map[string]any{"nonsense": 1}
			}
			got := s.call(method, target, body)
			first := ""
			if len(segments) > 2 && segments[1] == "v1" {
				first = segments[2]
			}
			if slices.Contains([]string{"", "auth", "tokens", "events"}, first) {
				got.wantProblem(400, "not_over_socket", "path")
				continue
			}
			compared++
			want := ada.do(method, target, body)
			if got.status != want.status || !bytes.Equal(got.body, bytes.TrimSuffix(want.body, []byte("\n"))) {
				t.Errorf("%s %s: over the socket %d %s\nover HTTP %d %s", method, target, got.status, clip(got.body), want.status, clip(want.body))
			}
		}
	}
	if compared < 10 {
		t.Errorf("only %d operations were compared", compared)
	}
}

func TestNothingButTheAPIIsCalledOverTheSocket(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	for _, path := range []string{
		"/", "/healthz", "/openapi.yaml", "/ws/chat/lobby/", "/v1", "/v1/events?room=lobby", "/v1/events/", "/v1/auth/ticket", "/v1/%61uth/ticket",
		"/v1/auth%2Fticket", "/v1/tokens", "/v1/tokens/1", "/v2/rooms", "/.well-known/jwks.json",
	} {
		switch got := s.call("GET", path, nil); {
		case path == "/v1/auth%2Fticket" && got.status == 404: // Echo takes it for one segment
		default:
			got.wantProblem(400, "not_over_socket", "path")
		}
	}
	for _, path := range []string{"", "v1/me", "http://example.com/v1/me", "//example.com/v1/me", "/v1/%zz", "/v1/me\u0000"} {
		s.call("GET", path, nil).wantProblem(400, "", "path")
	}
	// What the router itself says.
	s.call("GET", "/v1/nothing", nil).wantProblem(404, "not_found", "")
	s.call("GET", "/v1/auth/../me", nil).wantProblem(400, "not_over_socket", "path")
	s.call("GET", "/v1/rooms?access_token="+ada.AccessToken, nil).wantProblem(400, "token_in_url", "access_token")
	if got := s.call("DELETE", "/v1/rooms", nil); got.wantProblem(405, "method_not_allowed", "").Detail == "" || !strings.Contains(got.header.Get("Allow"), "POST") {
		t.Errorf("Allow is %q", got.header.Get("Allow"))
	}
}

func TestCommandPostsAndItsEventComes(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	const text = "<b>&\u2028\"😀"
	said := s.call("POST", "/v1/rooms/lobby/messages", map[string]string{"message": text, "nonce": "n"}, "Idempotency-Key: k1").want(201)
	seen := s.message(text)
	if !bytes.Equal(said.body, seen.raw) || seen.Nonce != "n" {
		t.Errorf("the reply says %s\nthe event is %s", said.body, seen.raw)
	}
	// A retry is one, whichever way it comes.
	for _, again := range []answer{
		s.call("POST", "/v1/rooms/lobby/messages", map[string]string{"message": text, "nonce": "n"}, "idempotency-key:  k1 "),
		ada.do("POST", "/v1/rooms/lobby/messages", map[string]string{"message": text, "nonce": "n"}, "Idempotency-Key: k1"),
	} {
		if again.want(200); !bytes.Equal(again.body, seen.raw) {
			t.Errorf("the retry says %s", again.body)
		}
	}
	s.call("POST", "/v1/rooms/lobby/messages", raw("other"), "Idempotency-Key: k1").wantProblem(422, "idempotency_mismatch", "Idempotency-Key")
	// A body that is not JSON is the text of a string.
	s.call("POST", "/v1/rooms/lobby/messages", raw(`{"a":1}`)).want(201)
	s.message(`{"a":1}`)
	s.ask(`{"method":"POST","path":"/v1/rooms/lobby/messages","headers":{"content-type":"text/plain; charset=utf-8"},"body":{"message":"x"}}`).wantProblem(400, "", "body")
	// A query, and a name that needs its percents.
	s.call("PUT", roomPath("комната"), nil).want(201)
	s.call("POST", roomPath("комната")+"/messages", raw("да")).want(201)
	if got, want := s.call("GET", "/v1/rooms/lobby/messages?limit=1", nil), ada.do("GET", "/v1/rooms/lobby/messages?limit=1", nil); !bytes.Equal(got.body, want.body) || !bytes.Contains(got.body, []byte("a")) {
		t.Errorf("the page is %s, not %s", got.body, want.body)
	}
	if got := s.call("PUT", "/v1/me/blocks/"+ada.server.signup(t, "bob").User.Username, nil).want(204); got.body != nil {
		t.Errorf("204 has the body %s", got.body)
	}
}

func TestShortFormsOfCommands(t *testing.T) {
	t.Parallel()
	p, ada, s := lobbyStream(t)
	bob := p.signup(t, "bob")
	bob.enter("dev")
	said := s.ask(`{"type":"chat_message","room":"lobby","message":"one","nonce":"n1","ref":"8"}`).want(201)
	if seen := s.message("one"); !bytes.Equal(said.body, seen.raw) || seen.Nonce != "n1" {
		t.Errorf("the reply is %s, the event %s", said.body, seen.raw)
	}
	s.ask(`{"type":"chat_message","message":"two"}`).want(201) // the stream's only room
	s.message("two")
	s.ask(`{"type":"chat_message","room":"dev","message":"three"}`).want(201)
	if got := bob.history("dev", "").items; len(got) != 1 || got[0].Message != "three" || got[0].User != "ada" {
		t.Errorf("dev has %s", show(got))
	}
	// What is beside it is the body, and judged as that.
	s.ask(`{"type":"chat_message","message":"x","colour":"red"}`).wantProblem(400, "", "colour")
	s.ask(`{"type":"chat_message","message":7}`).wantProblem(400, "", "message")
	s.ask(`{"type":"chat_message"}`).wantProblem(400, "", "message")
	s.ask(`{"type":"chat_message","room":"nowhere","message":"x"}`).wantProblem(404, "room_not_found", "room")
	s.ask(`{"type":"chat_message","room":"../me","message":"x"}`).wantProblem(400, "", "room")
	for _, room := range []string{`""`, "7", "null"} {
		s.ask(`{"type":"chat_message","room":`+room+`,"message":"x"}`).wantProblem(400, "", "room")
	}
	two := ada.open(overWS, "room=lobby&room=dev")
	two.opening()
	inbox := ada.open(overWS, "")
	inbox.opening()
	for _, stream := range []*stream{two, inbox} {
		stream.ask(`{"type":"chat_message","message":"where?"}`).wantProblem(400, "", "room")
		stream.ask(`{"type":"user_typing"}`).wantProblem(400, "", "room")
	}
	s.ask(`{"type":"private_message","message":"x"}`).wantProblem(400, "", "target")
	s.ask(`{"type":"user_typing","room":"lobby","message":"x"}`).wantProblem(400, "", "message")
	// They are the calls that they are short for.
	for frame, target := range map[string]string{
		`{"type":"private_message","target":"bob","message":"psst"}`: "/v1/private/bob/messages",
		`{"type":"user_typing","room":"lobby"}`:                      "/v1/rooms/lobby/typing",
	} {
		var body any
		if strings.Contains(frame, "psst") {
			body = map[string]string{"message": "psst"}
		}
		if got, want := s.ask(frame), ada.do("POST", target, body); got.status != want.status {
			t.Errorf("%s got %d %s, POST %s %d", frame, got.status, got.body, target, want.status)
		}
	}
}

func TestFramesThatAreNoCommandsAreAnswered(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	head := ada.head()
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	for _, test := range []struct{ frame, field, ref string }{
		{``, "body", ""}, {` `, "body", ""}, {`hello`, "body", ""}, {`{`, "body", ""}, {`{} {}`, "body", ""}, {`{"a":"\ud800"}`, "body", ""},
		{`[]`, "body", ""}, {`null`, "body", ""}, {`"hi"`, "body", ""}, {`7`, "body", ""}, {`{"ref":"1","body":` + deep + `}`, "body", ""},
		{`{}`, "method", ""}, {`{"ref":"1"}`, "method", "1"}, {`{"ref":"1","method":"get","path":"/v1/me"}`, "method", "1"},
		{`{"method":7,"path":"/v1/me"}`, "method", ""}, {`{"method":"TRACE","path":"/v1/me"}`, "method", ""},
		{`{"ref":"é\"","method":"GET"}`, "path", `é"`}, {`{"method":"GET","path":7}`, "path", ""},
		{`{"ref":7,"method":"GET","path":"/v1/me"}`, "ref", ""}, {`{"ref":null,"method":"GET","path":"/v1/me"}`, "ref", ""},
		{`{"ref":"` + strings.Repeat("r", 65) + `","method":"GET","path":"/v1/me"}`, "ref", ""},
		{`{"ref":"","method":"GET","path":"/v1/me","headers":[]}`, "headers", "-"},
		{`{"method":"GET","path":"/v1/me","headers":{"Accept":7}}`, "headers", ""}, {`{"method":"GET","path":"/v1/me","headers":null}`, "headers", ""},
		{`{"method":"GET","path":"/v1/me","extra":1}`, "extra", ""},
		{`{"type":"shout","message":"x","ref":"1"}`, "type", "1"}, {`{"type":7}`, "type", ""}, {`{"type":"ping"}`, "type", ""},
	} {
		s.say(test.frame)
		r := s.reply()
		r.answer(t, test.frame).wantProblem(400, "", test.field)
		want := &test.ref
		switch test.ref {
		case "":
			want = nil
		case "-":
			*want = ""
		}
		if (r.Ref == nil) != (want == nil) || want != nil && *r.Ref != *want {
			t.Errorf("%s: the ref is not repeated: %s", test.frame, r.raw)
		}
	}
	if now := ada.head(); now != head {
		t.Errorf("the log's head was %d and is %d", head, now)
	}
	s.ask(`{"ref":"` + strings.Repeat("ö", 64) + `","method":"GET","path":"/v1/me"}`).want(200)
}

// Commands that are sent without waiting are answered in their order, whatever each of them takes, while pings are
// answered and events come.
func TestRepliesComeInOrder(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	const n = 120
	var frames []string
	for i := range n {
		ref := strconv.Itoa(i)
		switch i % 4 {
		case 0:
			frames = append(frames, requestFrame(t, ref, "POST", "/v1/rooms/lobby/messages", raw(ref)))
		case 1:
			frames = append(frames, requestFrame(t, ref, "GET", "/v1/rooms/lobby/messages?limit=100", nil))
		case 2:
			frames = append(frames, `{"type":"chat_message","message":"`+ref+`","ref":"`+ref+`"}`)
		default:
			frames = append(frames, `{"ref":"`+ref+`"}`)
		}
	}
	go func() {
		for _, f := range frames {
			if err := s.source.(*wsSource).send(websocket.TextMessage, []byte(f)); err != nil {
				t.Error(err)
			}
		}
		if err := s.source.(*wsSource).send(websocket.PingMessage, []byte("all sent")); err != nil {
			t.Error(err)
		}
	}()
	want := map[int]int{0: 201, 1: 200, 2: 201, 3: 400}
	for i := range n {
		if r := s.reply(); r.Ref == nil || *r.Ref != strconv.Itoa(i) || r.Status != want[i%4] {
			t.Fatalf("the reply number %d is %s", i, clip(r.raw))
		}
	}
	seen := s.untilMessage(strconv.Itoa(n - 2))
	if got := ada.history("lobby", "limit=100").items; len(got) != n/2 || len(seen) != n/2 {
		t.Errorf("%d of %d messages were posted, %d seen", len(got), n/2, len(seen))
	}
}

// Nothing in a command says who calls, or from where.
func TestCommandCannotChangeWhoCalls(t *testing.T) {
	t.Parallel()
	p, ada, s := lobbyStream(t)
	bob := p.signup(t, "bob")
	var login session
	cookie := bob.do("POST", "/v1/auth/login", map[string]any{"username": "bob", "password": bob.password, "cookie": true}).into(&login).header.Get("Set-Cookie")
	for _, headers := range [][]string{
		{"Authorization: Bearer " + bob.AccessToken}, {"authorization: Bearer nonsense"}, {"Cookie: " + cookie}, {"Host: evil.example"},
		{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, {"X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4"},
		{"Connection: Upgrade", "Upgrade: websocket", "Content-Length: 7", "Transfer-Encoding: chunked"},
	} {
		got := s.call("GET", "/v1/me", nil, headers...).want(200)
		if !bytes.Equal(got.body, bytes.TrimSuffix(ada.do("GET", "/v1/me", nil).body, []byte("\n"))) {
			t.Errorf("with %v the caller is %s", headers, got.body)
		}
	}
}

// A script's token reaches over the socket what it reaches over HTTP.
func TestTokenScopesHoldOverTheSocket(t *testing.T) {
	t.Parallel()
	_, ada, _ := lobbyStream(t)
	ada.enter("dev")
	var made struct{ Token string }
	ada.do("POST", "/v1/tokens", map[string]any{"name": "bot", "rooms": []string{"lobby"}}).want(201).into(&made)
	bot := ada.withToken(made.Token)
	s := bot.open(overWS, "room=lobby")
	s.opening()
	for _, call := range [][2]string{
		{"GET", "/v1/me"}, {"DELETE", "/v1/me"}, {"GET", "/v1/rooms"}, {"GET", "/v1/rooms/dev"}, {"PUT", "/v1/rooms/new"}, {"GET", "/v1/me/blocks"}, {"GET", "/v1/rooms/lobby"},
	} {
		got, want := s.call(call[0], call[1], nil), bot.do(call[0], call[1], nil)
		if got.status != want.status || !bytes.Equal(got.body, bytes.TrimSuffix(want.body, []byte("\n"))) {
			t.Errorf("%v: over the socket %d %s, over HTTP %d %s", call, got.status, got.body, want.status, want.body)
		}
	}
	s.call("PUT", "/v1/rooms/new", nil).want(404)
}

// A session that has ended answers no command, not even before its streams are gone.
func TestCommandsEndWithTheSession(t *testing.T) {
	t.Parallel()
	_, ada, _ := lobbyStream(t)
	for i := range 5 {
		var login session
		ada.do("POST", "/v1/auth/login", credentials{"ada", ada.password}).want(200).into(&login)
		one := ada.withToken(login.AccessToken)
		s := one.open(overWS, "room=lobby")
		s.opening()
		s.call("GET", "/v1/me", nil).want(200)
		one.do("POST", "/v1/auth/logout", nil).want(204)
		_ = s.source.(*wsSource).send(websocket.TextMessage, []byte(`{"type":"chat_message","message":"too late"}`)) // or it is closed
		for r := range s.source.(*wsSource).replies {
			r.answer(t, "a late post").wantProblem(401, "invalid_token", "")
		}
		s.assertClosed("signed_out", 4401)
		if got := ada.history("lobby", "").items; len(got) != 0 {
			t.Fatalf("after %d logouts the lobby has %s", i+1, show(got))
		}
	}
}

// Posts over the socket use up the same limit as over HTTP, and say when to come back.
func TestLimitsHoldOverTheSocket(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t, func(cfg *Settings) { cfg.LimitPosts = 1 })
	for range 12 {
		if got := s.ask(`{"type":"chat_message","message":"x"}`); got.status == 429 {
			got.wantProblem(429, "rate_limited", "")
			if seconds, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || seconds < 1 {
				t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
			}
			ada.do("POST", "/v1/rooms/lobby/messages", raw("x")).wantLimited("rate_limited", "posts")
			return
		}
	}
	t.Error("twelve posts in a row were not limited")
}

// Whoever sends too many frames is told, in order, and cut when that does not help.
func TestFloodOfFramesIsAnsweredAndThenCut(t *testing.T) {
	t.Parallel()
	_, _, s := lobbyStream(t, func(cfg *Settings) { cfg.LimitPosts = 1 }) // ten frames a second, twenty at once
	go func() {
		for i := range 2000 {
			if s.source.(*wsSource).send(websocket.TextMessage, []byte(fmt.Sprintf(`{"ref":"%d","method":"GET","path":"/v1/me"}`, i))) != nil {
				return
			}
		}
	}()
	if _, err := s.ending(); closeCode(err) != websocket.ClosePolicyViolation {
		t.Errorf("the socket closed with %v", err)
	}
	counts := map[int]int{}
	i := 0
	for r := range s.source.(*wsSource).replies {
		if r.Ref == nil || *r.Ref != strconv.Itoa(i) {
			t.Fatalf("the reply number %d is %s", i, r.raw)
		}
		i++
		counts[r.Status]++
		if r.Status == 429 {
			r.answer(t, "a frame too many").wantProblem(429, "rate_limited", "")
			if r.Headers["Retry-After"] == "" {
				t.Errorf("no Retry-After: %s", r.raw)
			}
		}
	}
	if counts[200] < 20 || counts[429] < 20 || len(counts) != 2 {
		t.Errorf("the replies are %v", counts)
	}
}

// Whoever sends and does not read is not read from: what waits is bounded, and nothing of it is lost or doubled.
func TestCommandsOfOneWhoDoesNotReadWait(t *testing.T) {
	t.Parallel()
	_, ada, _ := lobbyStream(t)
	ada.enter("long")
	for range 100 {
		ada.post("long", "a"+strings.Repeat("\x01", 3000)) // 18 KB each in JSON
	}
	gate := make(chan struct{})
	s, _, err := ada.dial(overWS, how{query: "", gate: gate})
	if err != nil {
		t.Fatal(err)
	}
	const n = 16 // replies of 29 MB in all, of which the kernel keeps some
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range n {
			for _, f := range []string{
				requestFrame(t, fmt.Sprint(i), "GET", "/v1/rooms/long/messages?limit=100", nil),
				requestFrame(t, fmt.Sprint(i), "POST", "/v1/rooms/lobby/messages", raw(fmt.Sprint(i))),
			} {
				if err := s.source.(*wsSource).send(websocket.TextMessage, []byte(f)); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	time.Sleep(time.Second) // for those that are not to be carried out; the check cannot fail for being early
	if got := len(ada.history("lobby", "limit=100").items); got >= n/2 {
		t.Errorf("%d of %d commands were carried out though nobody reads the replies", got, n)
	}
	close(gate)
	for i := range 2 * n {
		if r := s.reply(); r.Ref == nil || *r.Ref != strconv.Itoa(i/2) || r.Status != []int{200, 201}[i%2] {
			t.Fatalf("the reply number %d is %s", i, clip(r.raw))
		}
	}
	<-sent
	for i, e := range ada.history("lobby", "limit=100").items {
		if e.Message != strconv.Itoa(i) {
			t.Fatalf("the message number %d is %s", i, e.raw)
		}
	}
}

// What was sent before the close frame is carried out and answered before it is answered.
func TestCommandsBeforeTheCloseAreAnswered(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	for i := range 10 {
		s.say(fmt.Sprintf(`{"type":"chat_message","message":"%d","ref":"%d"}`, i, i))
	}
	if err := s.source.(*wsSource).send(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ending(); closeCode(err) != 1000 {
		t.Errorf("the socket closed with %v", err)
	}
	replies := 0
	for r := range s.source.(*wsSource).replies {
		if r.Status != 201 {
			t.Errorf("the reply is %s", r.raw)
		}
		replies++
	}
	if got := len(ada.history("lobby", "").items); got != 10 || replies != 10 {
		t.Errorf("%d of 10 were posted, %d answered", got, replies)
	}
}
