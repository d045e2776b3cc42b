package hooks

import (
	"bufio"
	"bytes"
	"fmt"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

const asText = "Content-Type: text/plain"

func TestInletPosts(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "ops", Posting: "admins"}).Want(201) // the user need not be a moderator
	for _, c := range []*harness.Client{bob, eve} {
		c.Enter("ops")
	}
	ada.SetMember("ops", "bob", "moderator").Want(200)
	in := bob.Inlet("ops", "GitHub")
	if in.URL != p.URL+in.Path() || len(in.Secret()) < 26 || in.Name != "GitHub" || in.CreatedBy != "bob" {
		t.Errorf("got inlet %+v", in)
	}
	live := map[string]*harness.Stream{}
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		s := eve.Open(over, "room=ops&since=0")
		s.Opening()
		live["live over "+string(over)] = s
	})
	const text = "@all @eve: <b>done</b> 🚢"
	if got := p.Deliver(t, in, text, asText).Want(200); string(got.Body) != "ok" {
		t.Errorf("inlet returned %q", got.Body)
	}
	end := ada.Post("ops", "the end")

	// The same bytes everywhere, with everything that a message has except an author.
	posted := eve.WholeHistory("ops")[0]
	want := fmt.Sprintf(`{"type":"chat_message","id":%d,"room":"ops","user":"GitHub[bot]","via":"inlet","message":"%s","sent_at":"%s"}`, posted.ID, text, posted.SentAt)
	if string(posted.Raw) != want {
		t.Errorf("history =\n%s, want\n%s", posted.Raw, want)
	}
	for _, over := range harness.Transports {
		live["replayed over "+string(over)] = eve.Open(over, "room=ops&since=0")
	}
	for name, s := range live {
		all := s.UntilMessage("the end")
		i := slices.IndexFunc(all, func(e harness.Event) bool { return e.ID == posted.ID })
		if i < 0 || !bytes.Equal(all[i].Raw, posted.Raw) {
			t.Errorf("%s has another message: %v", name, harness.Show(all))
		}
	}
	harness.Eventually(t, "the search finds the message", func() bool {
		return slices.Equal(ada.Search(harness.RoomPath("ops")+"/messages", "done", ""), []string{text})
	})
	if out, err := harness.Tandem(t, p.Settings.DataDir, "export"); err != nil || !bytes.Contains(out, posted.Raw) || bytes.Contains(out, []byte(in.Secret())) {
		t.Errorf("export: %v\n%s", err, out)
	}

	// An inlet's message mentions nobody and belongs to nobody: the inlet's creator has it as unread and cannot edit
	// it.
	for _, c := range []*harness.Client{ada, bob, eve} {
		if n := c.Mentions("ops"); n != 0 {
			t.Errorf("%s has %d mentions", c.Name(), n)
		}
	}
	var seen harness.Room
	bob.Do("GET", "/v1/rooms/ops", nil).Want(200).Into(&seen)
	if seen.Unread != 2 || seen.LastID != end.ID {
		t.Errorf("inlet's creator: unread = %d, want 2", seen.Unread)
	}
	for _, c := range []*harness.Client{ada, bob} {
		c.Do("PATCH", harness.MessagePath("ops", posted.ID), harness.Fields{"message": "x"}).WantProblem(403, "forbidden", "")
	}
	eve.React("PUT", "ops", posted.ID, "👍").Want(204)
	eve.Do("DELETE", harness.MessagePath("ops", posted.ID), nil).WantProblem(403, "forbidden", "")
	bob.Do("DELETE", harness.MessagePath("ops", posted.ID), nil).Want(204)
	if gone := eve.WholeHistory("ops")[0]; !gone.Deleted || gone.Message != "" || gone.Via != "inlet" || gone.User != "GitHub[bot]" {
		t.Errorf("message after the deletion = %s", gone.Raw)
	}
}

// Only moderators can see and create inlets. An inlet belongs to its room.
func TestModeratorsManageInlets(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	root, ada, bob, eve := p.Admin(t), p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	ada.PrivateRoom("den")
	ada.SetMember("den", "bob", "member").Want(200)
	in := ada.Inlet("den", "one")
	at := harness.RoomPath("den") + "/inlets"
	one := fmt.Sprint(at, "/", in.ID)
	for _, call := range []struct {
		method, path string
		body         any
	}{{"GET", at, nil}, {"POST", at, harness.Fields{"name": "x"}}, {"DELETE", one, nil}} {
		bob.Do(call.method, call.path, call.body).WantProblem(403, "forbidden", "")
		eve.Do(call.method, call.path, call.body).WantProblem(404, "room_not_found", "room")
		p.Visitor(t).Do(call.method, call.path, call.body).WantProblem(401, "missing_token", "")
	}
	ada.SetMember("den", "bob", "moderator").Want(200)
	second := bob.Inlet("den", "two")
	root.Do("GET", at, nil).Want(200)
	var list struct{ Items []harness.Inlet }
	got := bob.Do("GET", at, nil).Want(200)
	if got.Into(&list); len(list.Items) != 2 || list.Items[0].ID != in.ID || list.Items[1].CreatedBy != "bob" || bytes.Contains(got.Body, []byte("/in/")) {
		t.Errorf("list = %s", got.Body)
	}
	ada.Enter("lobby")
	ada.Do("DELETE", fmt.Sprint(harness.RoomPath("lobby"), "/inlets/", in.ID), nil).WantProblem(404, "inlet_not_found", "id")

	// An inlet survives its creator, and is deleted with its room.
	ada.Do("DELETE", "/v1/rooms/den/members/bob", nil).Want(204)
	p.Deliver(t, second, "still here", asText).Want(200)
	ada.Do("DELETE", fmt.Sprint(at, "/", second.ID), nil).Want(204)
	ada.Do("DELETE", fmt.Sprint(at, "/", second.ID), nil).WantProblem(404, "inlet_not_found", "id")
	p.Deliver(t, second, "hi", asText).WantProblem(404, "inlet_not_found", "")
	p.Deliver(t, in, "hi", asText).Want(200)
	ada.Do("DELETE", "/v1/rooms/den", nil).Want(204)
	p.Deliver(t, in, "hi", asText).WantProblem(404, "inlet_not_found", "")
	ada.PrivateRoom("den")
	p.Deliver(t, in, "hi", asText).WantProblem(404, "inlet_not_found", "")
	if again := ada.Inlet("den", "three"); again.ID <= second.ID {
		t.Errorf("inlet number %d reused", again.ID)
	}
}

// An inlet's name cannot be mistaken for a user's, and their number per room is limited.
func TestNamesAndNumberOfInlets(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("ops")
	for _, name := range []string{"", " ", "\u200b", "a\nb", "a\u202eb", "a\x00b", strings.Repeat("x", 65)} {
		ada.Do("POST", "/v1/rooms/ops/inlets", harness.Fields{"name": name}).WantProblem(400, "invalid_request", "name")
	}
	ada.Do("POST", "/v1/rooms/ops/inlets", harness.Fields{}).WantProblem(400, "invalid_request", "name")
	for _, name := range []string{"ada", "小明", "CI (main) <b>", strings.Repeat("я", 64)} {
		in := ada.Inlet("ops", name)
		p.Deliver(t, in, "by "+name, asText).Want(200)
		history := ada.WholeHistory("ops")
		if last := history[len(history)-1]; last.User != name+"[bot]" {
			t.Errorf("author = %q", last.User)
		}
		p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: name + "[bot]", Password: "correct horse"}).WantProblem(400, "invalid_request", "username")
	}
	if n := harness.ManyAtOnce(t, 60, func(int) (harness.Answer, error) {
		return ada.Try("POST", "/v1/rooms/ops/inlets", harness.Fields{"name": "x"})
	}); n[201] != 46 || n[409] != 14 {
		t.Errorf("besides 4, these were created: %v", n)
	}
}

// Payloads of each product become the text that the package's own test shows.
func TestProductsPostToInlets(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("ops")
	in := ada.Inlet("ops", "All")
	files, err := filepath.Glob("inlets/testdata/*.http")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data found", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := bytes.Cut(data, []byte("\n\n"))
		header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(head, "\n\n"...)))).ReadMIMEHeader()
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{"X-GitHub-Delivery: " + filepath.Base(file)} // the two have the same there
		for name, values := range header {
			if name != "X-Github-Delivery" {
				lines = append(lines, name+": "+values[0])
			}
		}
		want, err := os.ReadFile(strings.TrimSuffix(file, ".http") + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		p.Deliver(t, in, string(body), lines...).Want(200)
		if e := ada.History("ops", "limit=1").Items[0]; e.Message+"\n" != string(want) || e.Mentions != nil || e.MentionsAll {
			t.Errorf("%s posted as %s", file, e.Raw)
		}
	}
}

// A repeated delivery is posted once.
func TestInletsPostRetriesOnce(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("ops")
	in, other := ada.Inlet("ops", "one"), ada.Inlet("ops", "two")
	const alert = `{"status":"firing","alerts":[{"status":"firing","labels":{"alertname":"Down"},"annotations":{"summary":"it is down"}}],"commonLabels":{"alertname":"Down"}}`
	for _, test := range []struct {
		name, body string
		headers    []string
	}{
		{"a key", "by key", []string{asText, "Idempotency-Key: k1"}},
		{"the same id of GitHub's", "by delivery", []string{asText, "X-GitHub-Delivery: k1"}},
		{"Standard Webhooks", "by webhook-id", []string{asText, "webhook-id: k1"}},
		{"Alertmanager", alert, []string{harness.AsJSON}},
	} {
		if n := harness.ManyAtOnce(t, 8, func(int) (harness.Answer, error) {
			return p.Visitor(t).Try("POST", in.Path(), harness.Raw(test.body), test.headers...)
		}); n[200] != 8 {
			t.Errorf("%s: statuses of 8 concurrent calls: got %v, want 8 times 200", test.name, n)
		}
		p.Deliver(t, other, test.body, test.headers...).Want(200) // another inlet has its own keys
	}
	count := map[string]int{}
	for _, e := range ada.WholeHistory("ops") {
		count[e.User+" "+strings.SplitN(e.Message, "\n", 2)[0]]++
	}
	if len(count) != 8 {
		t.Errorf("posted = %v", count)
	}
	for what, n := range count {
		if n != 1 {
			t.Errorf("%s posted %d times, want once", what, n)
		}
	}
	p.Deliver(t, in, "another body", asText, "Idempotency-Key: k1").WantProblem(422, "idempotency_mismatch", "Idempotency-Key")
	p.Deliver(t, in, "x", asText, "Idempotency-Key: ключ").WantProblem(400, "invalid_request", "Idempotency-Key")
	p.Deliver(t, in, "the same text", asText).Want(200)
	p.Deliver(t, in, "the same text", asText).Want(200)
	if n := len(ada.WholeHistory("ops")); n != 10 {
		t.Errorf("repeated text without a key: got %d messages, want 2", n)
	}
}

func TestInletRefusesInvalidRequests(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("ops")
	in := ada.Inlet("ops", "one")
	visitor := p.Visitor(t)
	got := p.Deliver(t, in, `{"hello":"world"}`, harness.AsJSON).WantProblem(400, "not_understood", "body")
	for _, what := range []string{"Slack", "Discord", "Alertmanager", "Grafana", "GitHub", "plain text"} {
		if !strings.Contains(got.Detail, what) {
			t.Errorf("problem does not name %s: %s", what, got.Detail)
		}
	}
	for _, test := range []struct {
		code   string
		status int
		body   string
		header []string
	}{
		{"message_empty", 400, "", []string{asText}},
		{"message_empty", 400, " \n\u200b", []string{asText}},
		{"message_empty", 400, `{"text":""}`, []string{harness.AsJSON}},
		{"not_understood", 400, `{"text":`, []string{harness.AsJSON}},
		{"not_understood", 400, "\xff\xfe", []string{asText}},
		{"unsupported_media_type", 415, "--x\r\n", []string{"Content-Type: multipart/form-data; boundary=x"}},
		{"body_too_large", 413, strings.Repeat("x", 1<<20+1), []string{asText}},
	} {
		p.Deliver(t, in, test.body, test.header...).WantProblem(test.status, test.code, "")
	}
	if n := len(ada.WholeHistory("ops")); n != 0 {
		t.Errorf("%d messages posted", n)
	}
	p.Deliver(t, in, strings.Repeat("long ", 1<<20/5), asText).Want(200)
	if e := ada.WholeHistory("ops")[0]; len(e.Message) > 4000 || !strings.HasSuffix(e.Message, "more characters)") {
		t.Errorf("long text shortened to %q", e.Message[len(e.Message)-60:])
	}

	// Opening the URL in a browser shows what it accepts, and changes nothing.
	if got := visitor.Do("GET", in.Path(), nil).Want(200); !strings.Contains(string(got.Body), "Slack") || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("page = %s", got.Body)
	}
	visitor.Do("HEAD", in.Path(), nil).Want(200)
	visitor.Do("PUT", in.Path(), harness.Raw("x")).WantProblem(405, "method_not_allowed", "")
	for _, path := range []string{"/in/nothing", in.Path() + "x", "/in/" + strings.ToLower(in.Secret())} {
		visitor.Do("GET", path, nil).WantProblem(404, "inlet_not_found", "")
		visitor.Do("POST", path, harness.Raw("x"), asText).WantProblem(404, "inlet_not_found", "")
	}
	ada.Do("POST", in.Path(), harness.Raw("x"), asText, "Authorization: Bearer nonsense").Want(200) // the caller does not matter
}

// The secret is stored as a hash, and no request writes it to the log; see logBook.
func TestInletSecretsAreNotExposed(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin, func(cfg *program.Settings) { cfg.MetricsAddr = "127.0.0.1:0" })
	ada := p.Signup(t, "ada")
	ada.Enter("ops")
	in := ada.Inlet("ops", "one")
	visitor := p.Visitor(t)
	for _, path := range []string{
		in.Path(), in.Path() + "/", in.Path() + "/x", "/in//" + in.Secret(), "//in/" + in.Secret(), "/IN/" + in.Secret(), "/%69n/" + in.Secret(),
		"/in/" + url.PathEscape("x/"+in.Secret()), "/chat/in/" + in.Secret(), "/in/x/../" + in.Secret(), in.Path() + "?x=1", "/in/" + in.Secret() + "%zz",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND"} {
			if got, err := visitor.Try(method, path, harness.Raw("x"), asText); err == nil && bytes.Contains(got.Body, []byte(in.Secret())) {
				t.Errorf("%s %s returned %s", method, path, got.Body)
			}
		}
	}
	for _, body := range []string{`{"text":`, strings.Repeat("x", 1<<20+1)} {
		p.Deliver(t, in, body, harness.AsJSON)
	}
	for _, path := range []string{"/v1/rooms/ops/inlets", "/v1/rooms/ops/messages"} {
		if got := ada.Do("GET", path, nil).Want(200); bytes.Contains(got.Body, []byte(in.Secret())) {
			t.Errorf("%s contains the secret: %s", path, got.Body)
		}
	}
	p.Stop(t) // the database's content is in its file
	for _, table := range []string{"inlets", "events", "idempotency"} {
		rows, err := harness.OpenDatabase(t, p.Settings.DataDir).Query("SELECT * FROM " + table)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new([]byte)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				if bytes.Contains(*v.(*[]byte), []byte(in.Secret())) {
					t.Errorf("%s.%s contains the secret", table, columns[i])
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close()
	}
}

// Each inlet has its own limit, as each user has.
func TestInletsAreLimited(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.StillLimits, func(cfg *program.Settings) { cfg.LimitPosts = 1 })
	ada := p.Signup(t, "ada")
	ada.Enter("ops")
	one, two := ada.Inlet("ops", "one"), ada.Inlet("ops", "two")
	p.Deliver(t, one, "1", asText).Want(200)
	p.Deliver(t, one, "2", asText).Want(200)
	p.Deliver(t, one, "3", asText).WantProblem(429, "rate_limited", "")
	p.Deliver(t, two, "x", asText).Want(200)
	ada.Post("ops", "x")
}

// The URL uses the address by which the caller reached the server.
func TestInletURL(t *testing.T) {
	t.Parallel()
	direct, proxied := harness.StartProgram(t), harness.StartProgram(t, func(cfg *program.Settings) { cfg.TrustedProxies = []string{"127.0.0.1"} })
	for _, test := range []struct {
		name    string
		p       *harness.Program
		headers []string
		want    string // empty: the server's own
	}{
		{"the URL of the request", direct, nil, ""},
		{"a page of the server", direct, []string{"Origin: " + direct.URL}, ""},
		{"a page behind a proxy that ends TLS", direct, []string{"Origin: " + strings.Replace(direct.URL, "http:", "https:", 1)}, strings.Replace(direct.URL, "http:", "https:", 1)},
		{"another page", direct, []string{"Origin: https://evil.example"}, ""},
		{"headers of a direct client", direct, []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example"}, ""},
		{"a trusted proxy", proxied, []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: chat.example.com:8443"}, "https://chat.example.com:8443"},
		{"two proxies", proxied, []string{"X-Forwarded-Proto: https, http", "X-Forwarded-Host: chat.example.com, inner"}, "https://chat.example.com"},
		{"invalid headers of a proxy", proxied, []string{"X-Forwarded-Proto: gopher", "X-Forwarded-Host: a/b@c"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ada := test.p.Signup(t, "ada-"+fmt.Sprint(len(test.name)))
			room := "room-" + fmt.Sprint(len(test.name))
			ada.Enter(room)
			want := test.want
			if want == "" {
				want = test.p.URL
			}
			if in := ada.Inlet(room, "x", test.headers...); in.URL != want+in.Path() {
				t.Errorf("URL = %s, want %s", in.URL, want)
			}
		})
	}
}
