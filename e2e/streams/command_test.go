package streams

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tandem/e2e/harness"
	"tandem/program"
)

// lobbyStream returns a user in the lobby and a stream of it.
func lobbyStream(t *testing.T, change ...func(*program.Settings)) (*harness.Program, *harness.Client, *harness.Stream) {
	t.Helper()
	p := harness.StartProgram(t, change...)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	s := ada.Open(harness.OverWS, "room=lobby")
	s.Opening()
	return p, ada, s
}

// Every operation in the contract, including future ones, gets the same status and bytes over the socket as over HTTP.
// Operations that would change something are called with bad input.
func TestEveryOperationBehavesTheSameOverTheSocket(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	ada.Post("lobby", "<hi> 😀")
	compared := 0
	for pattern, item := range harness.Contract().Paths.Map() {
		for method := range item.Operations() {
			segments := strings.Split(pattern, "/")
			values := map[bool]string{true: "lobby", false: "a%20b"} // not a valid name
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
			got := s.Call(method, target, body)
			first := ""
			if len(segments) > 2 && segments[1] == "v1" {
				first = segments[2]
			}
			ofBytes := strings.HasSuffix(pattern, "/files") || pattern == "/v1/files/{id}"
			givesCredentials := method+" "+pattern == "POST /v1/rooms/{room}/inlets" || pattern == "/v1/admin/sessions"
			if ofBytes || givesCredentials || slices.Contains([]string{"", "auth", "tokens", "events"}, first) {
				got.WantProblem(400, "not_over_socket", "path")
				continue
			}
			compared++
			want := ada.Do(method, target, body)
			if got.Status != want.Status || !bytes.Equal(got.Body, bytes.TrimSuffix(want.Body, []byte("\n"))) {
				t.Errorf("%s %s: WebSocket reply = %d %s\nHTTP response = %d %s", method, target, got.Status, harness.Clip(got.Body), want.Status, harness.Clip(want.Body))
			}
		}
	}
	if compared < 10 {
		t.Errorf("compared only %d operations, want at least 10", compared)
	}
}

func TestSocketCallsReachOnlyTheAPI(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	for _, path := range []string{
		"/", "/healthz", "/openapi.yaml", "/ws/chat/lobby/", "/v1", "/v1/events?room=lobby", "/v1/events/", "/v1/auth/ticket", "/v1/%61uth/ticket",
		"/v1/auth%2Fticket", "/v1/tokens", "/v1/tokens/1", "/v2/rooms", "/.well-known/jwks.json",
	} {
		switch got := s.Call("GET", path, nil); {
		case path == "/v1/auth%2Fticket" && got.Status == 404: // Echo takes it as one segment
		default:
			got.WantProblem(400, "not_over_socket", "path")
		}
	}
	for _, path := range []string{"", "v1/me", "http://example.com/v1/me", "//example.com/v1/me", "/v1/%zz", "/v1/me\u0000"} {
		s.Call("GET", path, nil).WantProblem(400, "", "path")
	}
	// The router's own refusals.
	s.Call("GET", "/v1/nothing", nil).WantProblem(404, "not_found", "")
	s.Call("GET", "/v1/auth/../me", nil).WantProblem(400, "not_over_socket", "path")
	s.Call("GET", "/v1/rooms?access_token="+ada.AccessToken, nil).WantProblem(400, "token_in_url", "access_token")
	if got := s.Call("DELETE", "/v1/rooms", nil); got.WantProblem(405, "method_not_allowed", "").Detail == "" || !strings.Contains(got.Header.Get("Allow"), "POST") {
		t.Errorf("Allow = %q", got.Header.Get("Allow"))
	}
}

// What is refused over the socket are calls, not names: rooms and users may be called files or inlets.
func TestCommandsReachWhatIsNamedLikeARefusedCall(t *testing.T) {
	t.Parallel()
	p, _, s := lobbyStream(t)
	p.Signup(t, "files")
	for _, call := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"PUT", "/v1/rooms/inlets", nil, 201},
		{"PUT", "/v1/rooms/files", nil, 201},
		{"GET", "/v1/rooms/files", nil, 200},
		{"GET", "/v1/rooms/inlets/inlets", nil, 200},
		{"GET", "/v1/users/files", nil, 200},
		{"PUT", "/v1/rooms/lobby/members/files", map[string]any{"role": "member"}, 200},
		{"PUT", "/v1/me/blocks/files", nil, 204},
	} {
		if got := s.Call(call.method, call.path, call.body); got.Status != call.status {
			t.Errorf("%s %s over the WebSocket got %d %s, want %d", call.method, call.path, got.Status, got.Body, call.status)
		}
	}
	s.Call("POST", "/v1/rooms/files/inlets", map[string]any{"name": "in"}).WantProblem(400, "not_over_socket", "path")
	s.Call("POST", "/v1/rooms/inlets/files", map[string]any{"a": 1}).WantProblem(400, "not_over_socket", "path")
}

func TestCommandPostsAndReturnsItsEvent(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	const text = "<b>&\u2028\"😀"
	said := s.Call("POST", "/v1/rooms/lobby/messages", map[string]string{"message": text, "nonce": "n"}, "Idempotency-Key: k1").Want(201)
	seen := s.Message(text)
	if !bytes.Equal(said.Body, seen.Raw) || seen.Nonce != "n" {
		t.Errorf("reply = %s\nevent = %s", said.Body, seen.Raw)
	}
	// A retry counts as one, over HTTP and over the socket.
	for _, again := range []harness.Answer{
		s.Call("POST", "/v1/rooms/lobby/messages", map[string]string{"message": text, "nonce": "n"}, "idempotency-key:  k1 "),
		ada.Do("POST", "/v1/rooms/lobby/messages", map[string]string{"message": text, "nonce": "n"}, "Idempotency-Key: k1"),
	} {
		if again.Want(200); !bytes.Equal(again.Body, seen.Raw) {
			t.Errorf("the retry = %s", again.Body)
		}
	}
	s.Call("POST", "/v1/rooms/lobby/messages", harness.Raw("other"), "Idempotency-Key: k1").WantProblem(422, "idempotency_mismatch", "Idempotency-Key")
	// A body that is not JSON is sent as a JSON string.
	s.Call("POST", "/v1/rooms/lobby/messages", harness.Raw(`{"a":1}`)).Want(201)
	s.Message(`{"a":1}`)
	s.Ask(`{"method":"POST","path":"/v1/rooms/lobby/messages","headers":{"content-type":"text/plain; charset=utf-8"},"body":{"message":"x"}}`).WantProblem(400, "", "body")
	// A query, and a name that needs percent-encoding.
	s.Call("PUT", harness.RoomPath("комната"), nil).Want(201)
	s.Call("POST", harness.RoomPath("комната")+"/messages", harness.Raw("да")).Want(201)
	if got, want := s.Call("GET", "/v1/rooms/lobby/messages?limit=1", nil), ada.Do("GET", "/v1/rooms/lobby/messages?limit=1", nil); !bytes.Equal(got.Body, want.Body) || !bytes.Contains(got.Body, []byte("a")) {
		t.Errorf("page = %s, want %s", got.Body, want.Body)
	}
	if got := s.Call("PUT", "/v1/me/blocks/"+ada.Server.Signup(t, "bob").User.Username, nil).Want(204); got.Body != nil {
		t.Errorf("body of a 204 = %s, want none", got.Body)
	}
}

func TestShortFormsOfCommands(t *testing.T) {
	t.Parallel()
	p, ada, s := lobbyStream(t)
	bob := p.Signup(t, "bob")
	bob.Enter("dev")
	said := s.Ask(`{"type":"chat_message","room":"lobby","message":"one","nonce":"n1","ref":"8"}`).Want(201)
	if seen := s.Message("one"); !bytes.Equal(said.Body, seen.Raw) || seen.Nonce != "n1" {
		t.Errorf("reply = %s, the event %s", said.Body, seen.Raw)
	}
	s.Ask(`{"type":"chat_message","message":"two"}`).Want(201) // the stream's only room
	s.Message("two")
	s.Ask(`{"type":"chat_message","room":"dev","message":"three"}`).Want(201)
	if got := bob.History("dev", "").Items; len(got) != 1 || got[0].Message != "three" || got[0].User != "ada" {
		t.Errorf("messages in dev = %s", harness.Show(got))
	}
	// Other fields are the body, and are validated as such.
	s.Ask(`{"type":"chat_message","message":"x","colour":"red"}`).WantProblem(400, "", "colour")
	s.Ask(`{"type":"chat_message","message":7}`).WantProblem(400, "", "message")
	s.Ask(`{"type":"chat_message"}`).WantProblem(400, "", "message")
	s.Ask(`{"type":"chat_message","room":"nowhere","message":"x"}`).WantProblem(404, "room_not_found", "room")
	s.Ask(`{"type":"chat_message","room":"../me","message":"x"}`).WantProblem(400, "", "room")
	for _, room := range []string{`""`, "7", "null"} {
		s.Ask(`{"type":"chat_message","room":`+room+`,"message":"x"}`).WantProblem(400, "", "room")
	}
	two := ada.Open(harness.OverWS, "room=lobby&room=dev")
	two.Opening()
	inbox := ada.Open(harness.OverWS, "")
	inbox.Opening()
	for _, stream := range []*harness.Stream{two, inbox} {
		stream.Ask(`{"type":"chat_message","message":"where?"}`).WantProblem(400, "", "room")
		stream.Ask(`{"type":"user_typing"}`).WantProblem(400, "", "room")
	}
	s.Ask(`{"type":"private_message","message":"x"}`).WantProblem(400, "", "target")
	s.Ask(`{"type":"user_typing","room":"lobby","message":"x"}`).WantProblem(400, "", "message")
	// Short forms equal the calls that they stand for.
	for frame, target := range map[string]string{
		`{"type":"private_message","target":"bob","message":"psst"}`: "/v1/private/bob/messages",
		`{"type":"user_typing","room":"lobby"}`:                      "/v1/rooms/lobby/typing",
	} {
		var body any
		if strings.Contains(frame, "psst") {
			body = map[string]string{"message": "psst"}
		}
		if got, want := s.Ask(frame), ada.Do("POST", target, body); got.Status != want.Status {
			t.Errorf("%s got %d %s, POST %s %d", frame, got.Status, got.Body, target, want.Status)
		}
	}
}

func TestInvalidCommandFramesGetErrors(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	head := ada.Head()
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
		s.Say(test.frame)
		r := s.Reply()
		r.Answer(t, test.frame).WantProblem(400, "", test.field)
		want := &test.ref
		switch test.ref {
		case "":
			want = nil
		case "-":
			*want = ""
		}
		if (r.Ref == nil) != (want == nil) || want != nil && *r.Ref != *want {
			t.Errorf("%s: reply without the ref: %s", test.frame, r.Raw)
		}
	}
	if now := ada.Head(); now != head {
		t.Errorf("log head moved from %d to %d", head, now)
	}
	s.Ask(`{"ref":"` + strings.Repeat("ö", 64) + `","method":"GET","path":"/v1/me"}`).Want(200)
}

// Pipelined commands are answered in order, however long each takes, while pings are answered and events delivered.
func TestRepliesComeInOrder(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	const n = 120
	var frames []string
	for i := range n {
		ref := strconv.Itoa(i)
		switch i % 4 {
		case 0:
			frames = append(frames, harness.RequestFrame(t, ref, "POST", "/v1/rooms/lobby/messages", harness.Raw(ref)))
		case 1:
			frames = append(frames, harness.RequestFrame(t, ref, "GET", "/v1/rooms/lobby/messages?limit=100", nil))
		case 2:
			frames = append(frames, `{"type":"chat_message","message":"`+ref+`","ref":"`+ref+`"}`)
		default:
			frames = append(frames, `{"ref":"`+ref+`"}`)
		}
	}
	go func() {
		for _, f := range frames {
			if err := s.Source.(*harness.WSSource).Send(websocket.TextMessage, []byte(f)); err != nil {
				t.Error(err)
			}
		}
		if err := s.Source.(*harness.WSSource).Send(websocket.PingMessage, []byte("all sent")); err != nil {
			t.Error(err)
		}
	}()
	want := map[int]int{0: 201, 1: 200, 2: 201, 3: 400}
	for i := range n {
		if r := s.Reply(); r.Ref == nil || *r.Ref != strconv.Itoa(i) || r.Status != want[i%4] {
			t.Fatalf("reply %d = %s", i, harness.Clip(r.Raw))
		}
	}
	seen := s.UntilMessage(strconv.Itoa(n - 2))
	if got := ada.History("lobby", "limit=100").Items; len(got) != n/2 || len(seen) != n/2 {
		t.Errorf("%d of %d messages posted, %d seen", len(got), n/2, len(seen))
	}
}

// No field of a command can change the caller or the address.
func TestCommandCannotChangeItsCaller(t *testing.T) {
	t.Parallel()
	p, ada, s := lobbyStream(t)
	bob := p.Signup(t, "bob")
	var login harness.Session
	cookie := bob.Do("POST", "/v1/auth/login", map[string]any{"username": "bob", "password": bob.Password, "cookie": true}).Into(&login).Header.Get("Set-Cookie")
	for _, headers := range [][]string{
		{"Authorization: Bearer " + bob.AccessToken}, {"authorization: Bearer nonsense"}, {"Cookie: " + cookie}, {"Host: evil.example"},
		{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, {"X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4"},
		{"Connection: Upgrade", "Upgrade: websocket", "Content-Length: 7", "Transfer-Encoding: chunked"},
	} {
		got := s.Call("GET", "/v1/me", nil, headers...).Want(200)
		if !bytes.Equal(got.Body, bytes.TrimSuffix(ada.Do("GET", "/v1/me", nil).Body, []byte("\n"))) {
			t.Errorf("headers %v: GET /v1/me = %s", headers, got.Body)
		}
	}
}

// A limited token can reach the same over the socket as over HTTP.
func TestTokenScopesHoldOverTheSocket(t *testing.T) {
	t.Parallel()
	_, ada, _ := lobbyStream(t)
	ada.Enter("dev")
	var made struct{ Token string }
	ada.Do("POST", "/v1/tokens", map[string]any{"name": "bot", "rooms": []string{"lobby"}}).Want(201).Into(&made)
	bot := ada.WithToken(made.Token)
	s := bot.Open(harness.OverWS, "room=lobby")
	s.Opening()
	for _, call := range [][2]string{
		{"GET", "/v1/me"}, {"DELETE", "/v1/me"}, {"GET", "/v1/rooms"}, {"GET", "/v1/rooms/dev"}, {"PUT", "/v1/rooms/new"}, {"GET", "/v1/me/blocks"}, {"GET", "/v1/rooms/lobby"},
	} {
		got, want := s.Call(call[0], call[1], nil), bot.Do(call[0], call[1], nil)
		if got.Status != want.Status || !bytes.Equal(got.Body, bytes.TrimSuffix(want.Body, []byte("\n"))) {
			t.Errorf("%v: WebSocket reply = %d %s, HTTP response = %d %s", call, got.Status, got.Body, want.Status, want.Body)
		}
	}
	s.Call("PUT", "/v1/rooms/new", nil).Want(404)
}

// A session that has ended gets no command answered, not even before its streams are closed.
func TestCommandsEndWithTheSession(t *testing.T) {
	t.Parallel()
	_, ada, _ := lobbyStream(t)
	for i := range 5 {
		var login harness.Session
		ada.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).Want(200).Into(&login)
		one := ada.WithToken(login.AccessToken)
		s := one.Open(harness.OverWS, "room=lobby")
		s.Opening()
		s.Call("GET", "/v1/me", nil).Want(200)
		one.Do("POST", "/v1/auth/logout", nil).Want(204)
		_ = s.Source.(*harness.WSSource).Send(websocket.TextMessage, []byte(`{"type":"chat_message","message":"too late"}`)) // or the socket is closed
		for r := range s.Source.(*harness.WSSource).Replies {
			r.Answer(t, "a late post").WantProblem(401, "invalid_token", "")
		}
		s.AssertClosed("signed_out", 4401)
		if got := ada.History("lobby", "").Items; len(got) != 0 {
			t.Fatalf("messages in the lobby after %d logouts = %s, want none", i+1, harness.Show(got))
		}
	}
}

// Posts over the socket count against the same limit as over HTTP, and the refusal says when to retry.
func TestLimitsHoldOverTheSocket(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t, harness.StillLimits, func(cfg *program.Settings) { cfg.LimitPosts = 1 })
	post := func() harness.Answer { return s.Ask(`{"type":"chat_message","message":"x"}`) }
	post().Want(201)
	ada.Do("POST", "/v1/rooms/lobby/messages", harness.Raw("x")).Want(201)
	refused := post()
	refused.WantProblem(429, "rate_limited", "")
	if seconds, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || seconds < 1 {
		t.Errorf("Retry-After = %q", refused.Header.Get("Retry-After"))
	}
	ada.Do("POST", "/v1/rooms/lobby/messages", harness.Raw("x")).WantLimited("rate_limited", "posts")
}

// A client that sends too many frames is refused in order, and disconnected if it continues.
func TestFloodOfFramesIsAnsweredThenCut(t *testing.T) {
	t.Parallel()
	_, _, s := lobbyStream(t, func(cfg *program.Settings) { cfg.LimitPosts = 1 }) // ten frames a second, with bursts of twenty
	go func() {
		for i := range 2000 {
			if s.Source.(*harness.WSSource).Send(websocket.TextMessage, []byte(fmt.Sprintf(`{"ref":"%d","method":"GET","path":"/v1/me"}`, i))) != nil {
				return
			}
		}
	}()
	if _, err := s.Ending(); harness.CloseCode(err) != websocket.ClosePolicyViolation {
		t.Errorf("socket closed with %v", err)
	}
	counts := map[int]int{}
	i := 0
	for r := range s.Source.(*harness.WSSource).Replies {
		if r.Ref == nil || *r.Ref != strconv.Itoa(i) {
			t.Fatalf("reply %d = %s", i, r.Raw)
		}
		i++
		counts[r.Status]++
		if r.Status == 429 {
			r.Answer(t, "a frame too many").WantProblem(429, "rate_limited", "")
			if r.Headers["Retry-After"] == "" {
				t.Errorf("reply without Retry-After: %s", r.Raw)
			}
		}
	}
	if counts[200] < 20 || counts[429] < 20 || len(counts) != 2 {
		t.Errorf("replies = %v", counts)
	}
}

// From a client that sends and does not read, the server stops reading: what waits is bounded, and nothing is lost or
// duplicated.
func TestCommandsWaitForAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	_, ada, _ := lobbyStream(t)
	ada.Enter("long")
	for range 100 {
		ada.Post("long", "a"+strings.Repeat("\x01", 3000)) // 18 KB each in JSON
	}
	gate := make(chan struct{})
	s, _, err := ada.Dial(harness.OverWS, harness.Dialing{Query: "", Gate: gate})
	if err != nil {
		t.Fatal(err)
	}
	const n = 16 // 29 MB of replies in all, of which the kernel buffers some
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range n {
			for _, f := range []string{
				harness.RequestFrame(t, fmt.Sprint(i), "GET", "/v1/rooms/long/messages?limit=100", nil),
				harness.RequestFrame(t, fmt.Sprint(i), "POST", "/v1/rooms/lobby/messages", harness.Raw(fmt.Sprint(i))),
			} {
				if err := s.Source.(*harness.WSSource).Send(websocket.TextMessage, []byte(f)); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	time.Sleep(time.Second) // for those that must not run; this check cannot fail by being early
	if got := len(ada.History("lobby", "limit=100").Items); got >= n/2 {
		t.Errorf("%d of %d commands executed although the client reads no replies", got, n)
	}
	close(gate)
	for i := range 2 * n {
		if r := s.Reply(); r.Ref == nil || *r.Ref != strconv.Itoa(i/2) || r.Status != []int{200, 201}[i%2] {
			t.Fatalf("reply %d = %s", i, harness.Clip(r.Raw))
		}
	}
	<-sent
	for i, e := range ada.History("lobby", "limit=100").Items {
		if e.Message != strconv.Itoa(i) {
			t.Fatalf("message %d = %s", i, e.Raw)
		}
	}
}

// Commands sent before the close frame are executed and answered before it is.
func TestCommandsBeforeTheCloseAreAnswered(t *testing.T) {
	t.Parallel()
	_, ada, s := lobbyStream(t)
	for i := range 10 {
		s.Say(fmt.Sprintf(`{"type":"chat_message","message":"%d","ref":"%d"}`, i, i))
	}
	if err := s.Source.(*harness.WSSource).Send(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Ending(); harness.CloseCode(err) != 1000 {
		t.Errorf("socket closed with %v", err)
	}
	replies := 0
	for r := range s.Source.(*harness.WSSource).Replies {
		if r.Status != 201 {
			t.Errorf("reply = %s", r.Raw)
		}
		replies++
	}
	if got := len(ada.History("lobby", "").Items); got != 10 || replies != 10 {
		t.Errorf("%d posted, %d replies; want 10 of each", got, replies)
	}
}
