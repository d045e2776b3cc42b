package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// checker is a server for the hook that is asked before posts. It verifies signatures and records the questions.
type checker struct {
	*httptest.Server
	mu      sync.Mutex
	secrets []string
	asked   []question
	now     int // questions being answered now
	most    int // most at once
	answer  func(w http.ResponseWriter, q question)
}

type question struct {
	Type      string
	Room      string
	User      string
	Target    string
	Message   string
	MessageID int64 `json:"message_id"`
	Data      json.RawMessage
	Files     []harness.File
	Thread    int64
}

// says answers with JSON.
func says(answer string) func(http.ResponseWriter, question) {
	return func(w http.ResponseWriter, _ question) { _, _ = io.WriteString(w, answer) }
}

func newChecker(t *testing.T, answer func(http.ResponseWriter, question)) *checker {
	t.Helper()
	c := &checker{answer: answer}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var q question
		if err == nil {
			err = json.Unmarshal(body, &q)
		}
		if err != nil || r.Method != http.MethodPost || q.Type != "before_post" {
			t.Errorf("call of the hook: got %s %s, %v, want a POST of a before_post", r.Method, body, err)
		}
		if !c.signed(r.Header, body) {
			t.Errorf("the signature is wrong: %v", r.Header)
		}
		c.mu.Lock()
		c.asked = append(c.asked, q)
		c.now++
		c.most = max(c.most, c.now)
		answer := c.answer
		c.mu.Unlock()
		answer(w, q)
		c.mu.Lock()
		c.now--
		c.mu.Unlock()
	}))
	t.Cleanup(c.Close)
	return c
}

// signed verifies by hand, as https://www.standardwebhooks.com describes it.
func (c *checker) signed(h http.Header, body []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.secrets, func(secret string) bool {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
		return err == nil && h.Get("webhook-id") != "" && h.Get("webhook-signature") == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))
	})
}

func (c *checker) change(answer func(http.ResponseWriter, question)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

// questions returns the questions since the last call.
func (c *checker) questions() []question {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = nil
	return asked
}

// checks makes a room ask the checker before posts.
func (c *checker) checks(owner *harness.Client, room, onFailure string) {
	owner.T.Helper()
	var made struct{ Secret string }
	owner.Do("PUT", harness.RoomPath(room)+"/before-post", harness.Fields{"url": c.URL, "on_failure": onFailure}).Want(200).Into(&made)
	owner.Server.Logs.KeepSecret(made.Secret)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secrets = append(c.secrets, made.Secret)
}

// patientlyAsked gives hooks enough time to answer on any machine.
func patientlyAsked(cfg *program.Settings) { cfg.BeforePostTimeout = harness.Patience }

// A hook is asked before every post and edit, however it is made, and has the last word.
func TestBeforePost(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback, patientlyAsked)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "other"}).Want(201)
	const messages = "/v1/rooms/lobby/messages"
	earlier := bob.Post("lobby", "before there was a hook")
	hook := newChecker(t, says(``))
	hook.checks(ada, "lobby", "closed")
	s := bob.Open(harness.OverWS, "room=lobby")
	s.Opening()
	file := bob.Upload(harness.RoomPath("lobby"), "a.txt", "hello")
	posted := bob.Do("POST", messages, harness.Fields{"message": "hi @ada", "data": harness.Fields{"a": 1}, "files": []string{file.ID}, "thread": earlier.ID}).Want(201).Event()
	if q := hook.questions(); len(q) != 1 || q[0].Room != "lobby" || q[0].User != "bob" || q[0].Message != "hi @ada" || string(q[0].Data) != `{"a":1}` ||
		len(q[0].Files) != 1 || q[0].Files[0].Name != "a.txt" || q[0].Thread != earlier.ID || q[0].MessageID != 0 {
		t.Errorf("calls = %+v", q)
	}
	bob.Post("other", "nobody asks here")
	bob.Send("ada", "nor here")
	bob.React("PUT", "lobby", posted.ID, "👍").Want(204)
	if q := hook.questions(); len(q) != 0 {
		t.Errorf("calls = %+v, want none", q)
	}

	hook.change(says(`{"refuse": "Please be\nkind."}`))
	refused := func(a harness.Answer) {
		t.Helper()
		if p := a.WantProblem(403, "refused", ""); p.Detail != "Please be kind." {
			t.Errorf("detail = %q", p.Detail)
		}
	}
	page := ada.Tutorial("/ws/chat/lobby/", ada.BearerHeader())
	refused(bob.Do("POST", messages, harness.Raw("bad"), "Idempotency-Key: k"))
	refused(ada.Do("POST", messages, harness.Fields{"message": "bad"})) // owners too
	refused(s.Call("POST", messages, harness.Fields{"message": "bad"}))
	refused(s.Ask(`{"type":"chat_message","message":"bad"}`))
	for page.Say(`{"message":"bad"}`); ; {
		if r, err := harness.ParseReply(<-page.Frames); err == nil {
			if r.Status != 403 {
				t.Errorf("reply to the tutorial page = %s", r.Raw)
			}
			break
		}
	}
	hook.questions()
	message := fmt.Sprint(messages, "/", posted.ID)
	refused(bob.Do("PATCH", message, harness.Fields{"message": "bad"}))
	refused(bob.Do("PATCH", message, harness.Fields{"data": harness.Fields{"b": 2}}))
	if q := hook.questions(); len(q) != 2 || q[0].MessageID != posted.ID || q[0].Message != "bad" || string(q[0].Data) != `{"a":1}` ||
		q[1].Message != "hi @ada" || string(q[1].Data) != `{"b":2}` {
		t.Errorf("calls for the edits = %+v", q)
	}
	if got := bob.History("lobby", "").Items; len(got) != 1 || got[0].ID != earlier.ID {
		t.Errorf("messages in the room = %s", harness.Show(got))
	}

	// A retry is asked about only if nothing was posted; otherwise the hook's present answer does not matter.
	hook.change(says(`{}`))
	first := bob.Do("POST", messages, harness.Raw("bad"), "Idempotency-Key: k").Want(201).Event()
	hook.questions()
	hook.change(says(`{"refuse": ""}`))
	if again := bob.Do("POST", messages, harness.Raw("bad"), "Idempotency-Key: k").Want(200).Event(); again.ID != first.ID || len(hook.questions()) != 0 {
		t.Errorf("retry = %s", again.Raw)
	}
	if p := bob.Do("POST", messages, harness.Raw("x")).WantProblem(403, "refused", ""); p.Detail == "" {
		t.Error("refusal without a reason: detail missing")
	}
	// After the answer it is not asked any more.
	ada.Do("DELETE", harness.RoomPath("lobby")+"/before-post", nil).Want(204)
	bob.Post("lobby", "unasked")
	ada.Do("GET", harness.RoomPath("lobby")+"/before-post", nil).WantProblem(404, "before_post_not_found", "")
}

// A hook may let a message pass with marks, which everybody sees until the message is deleted, and with a report.
func TestBeforePostMarksAndReports(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback, patientlyAsked)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	hook := newChecker(t, says(`{"marks": ["spam", "x:1", "spam"], "report": "looks like spam", "another": "member"}`))
	hook.checks(ada, "lobby", "open")
	s, moderator := bob.Open(harness.OverSSE, "room=lobby"), ada.Open(harness.OverSSE, "")
	s.Opening()
	moderator.Opening()
	m := bob.Post("lobby", "buy")
	want := []string{"spam", "x:1"}
	if e := s.Must("chat_message"); !slices.Equal(m.Marks, want) || string(e.Raw) != string(m.Raw) {
		t.Errorf("posted %s, delivered %s", m.Raw, e.Raw)
	}
	moderator.OpenReports("lobby", 1)
	items, _ := ada.Reports("/v1/rooms/lobby/reports")
	if len(items) != 1 || items[0].MessageID != m.ID || items[0].By()[0] != ": looks like spam" {
		t.Fatalf("reports = %+v", items)
	}
	hook.change(says(`{"marks": ["edited"]}`))
	bob.Edit("lobby", m.ID, "buy more")
	if e := s.Must("message_edited"); !slices.Equal(e.Marks, []string{"edited"}) {
		t.Errorf("edit = %s", e.Raw)
	}
	if got := bob.History("lobby", "").Items[0]; !slices.Equal(got.Marks, []string{"edited"}) || got.Message != "buy more" {
		t.Errorf("history = %s", got.Raw)
	}
	bob.Do("DELETE", fmt.Sprint("/v1/rooms/lobby/messages/", m.ID), nil).Want(204)
	if got := bob.History("lobby", "").Items[0]; got.Marks != nil || !got.Deleted {
		t.Errorf("message after the deletion = %s", got.Raw)
	}
	// An invalid answer counts as none.
	for _, answer := range []string{`{"marks": ["Not A Mark"]}`, `{"refuse": 1}`, `[]`, `yes`, `{"marks": [` + strings.Repeat(`"a",`, 10) + `"a"]}`} {
		hook.change(says(answer))
		if e := bob.Post("lobby", "let through"); e.Marks != nil {
			t.Errorf("message over %s = %s", answer, e.Raw)
		}
	}
}

// If a hook fails, the room does what it is configured to do, and other rooms are not affected.
func TestBeforePostFails(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	var over sync.Once
	hang := make(chan struct{})
	release := func() { over.Do(func() { close(hang) }) }
	gone := httptest.NewServer(nil)
	gone.Close()
	hanging := func(http.ResponseWriter, question) { <-hang }
	hooks := map[string]*checker{
		"errors":    newChecker(t, func(w http.ResponseWriter, _ question) { w.WriteHeader(500) }),
		"redirects": newChecker(t, func(w http.ResponseWriter, _ question) { w.Header().Set("Location", "/"); w.WriteHeader(307) }),
		"hangs":     newChecker(t, hanging),
		"gone":      {Server: gone},
	}
	t.Cleanup(release) // before the hooks are closed, which would wait for pending questions
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "elsewhere"}).Want(201)
	for name, hook := range hooks {
		for _, onFailure := range []string{"open", "closed"} {
			room := name + "-" + onFailure
			ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: room}).Want(201)
			hook.checks(ada, room, onFailure)
			a := bob.Do("POST", harness.RoomPath(room)+"/messages", harness.Raw("hi"), "Idempotency-Key: k")
			if onFailure == "open" {
				a.Want(201)
				continue
			}
			a.WantProblem(503, "unavailable", "")
			if a.Header.Get("Retry-After") == "" {
				t.Error("refusal without Retry-After")
			}
			if got := bob.History(room, "").Items; len(got) != 0 {
				t.Errorf("posted = %s, want none", harness.Show(got))
			}
		}
	}
	// With many posts at once few are at the hook at a time, all are answered, and other rooms are not affected.
	harness.InParallel(60, func(i int) {
		if i%2 == 0 {
			if e, err := bob.TryPost("elsewhere", fmt.Sprint("message ", i)); err != nil {
				t.Error(e, err)
			}
		} else if e, err := bob.TryPost("hangs-open", fmt.Sprint("message ", i)); err != nil {
			t.Error(e, err)
		}
	})
	hook := hooks["hangs"]
	hook.mu.Lock()
	defer hook.mu.Unlock()
	if hook.most > 3*16 { // aborted requests may still be there when the next arrive
		t.Errorf("%d concurrent calls", hook.most)
	}
	release()
}

// A user who may not set a hook learns nothing about it. Private addresses are refused, unless the operator allows
// them.
func TestBeforePostAddresses(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	ada.SetMember("lobby", "bob", "moderator").Want(200)
	for _, url := range []string{
		"http://127.0.0.1:1/", "http://localhost/", "http://[::1]/", "http://169.254.169.254/latest", "ftp://example.com/", "http://a:b@example.com/",
		"nonsense", "http://example.com/" + strings.Repeat("a", 2000),
	} {
		ada.Do("PUT", harness.RoomPath("lobby")+"/before-post", harness.Fields{"url": url}).WantProblem(400, "invalid_request", "url")
	}
	bob.Do("PUT", harness.RoomPath("lobby")+"/before-post", harness.Fields{"url": "http://127.0.0.1:1/"}).WantProblem(403, "forbidden", "")
	bob.Post("lobby", "nothing is asked")
}

// The site's hook is asked in all rooms, and for private messages if the operator says so.
func TestBeforePostOfTheSite(t *testing.T) {
	t.Parallel()
	for _, private := range []bool{false, true} {
		hook := newChecker(t, says(`{"marks": ["site"], "report": "look"}`))
		secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of twenty-four bytes"))
		hook.secrets = []string{secret}
		p := harness.StartProgram(t, harness.AllowLoopback, patientlyAsked, harness.WithAdmin, func(cfg *program.Settings) {
			cfg.BeforePostURL, cfg.BeforePostSecret, cfg.BeforePostPrivate = hook.URL, secret, private
		})
		p.Logs.KeepSecret(secret)
		ada, bob, root := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Admin(t)
		ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
		if m := bob.Post("lobby", "hi"); !slices.Equal(m.Marks, []string{"site"}) || len(hook.questions()) != 1 {
			t.Errorf("posted = %s", m.Raw)
		}
		own := newChecker(t, says(`{"marks": ["room"]}`))
		own.checks(ada, "lobby", "open")
		if m := bob.Post("lobby", "both are asked"); !slices.Equal(m.Marks, []string{"site", "room"}) || len(hook.questions()) != 1 || len(own.questions()) != 1 {
			t.Errorf("posted = %s", m.Raw)
		}
		own.change(says(`{"refuse": "Not here."}`))
		bob.Do("POST", "/v1/rooms/lobby/messages", harness.Raw("x")).WantProblem(403, "refused", "")
		hook.questions()
		inbox := ada.Open(harness.OverSSE, "")
		inbox.Opening()
		m := bob.Send("ada", "psst")
		if e := inbox.Must("private_message"); !slices.Equal(e.Marks, m.Marks) {
			t.Errorf("private message: got %s, want marks %v", e.Raw, m.Marks)
		}
		bob.Do("PATCH", fmt.Sprint(harness.PrivatePath("ada"), "/messages/", m.ID), harness.Fields{"message": "hey"}).Want(200)
		asked := hook.questions()
		if !private {
			if m.Marks != nil || len(asked) != 0 {
				t.Errorf("calls = %+v, posted = %s", asked, m.Raw)
			}
			continue
		}
		if !slices.Equal(m.Marks, []string{"site"}) || len(asked) != 2 || asked[0].Target != "ada" || asked[0].Message != "psst" || asked[1].MessageID != m.ID || asked[1].Message != "hey" {
			t.Errorf("calls = %+v, posted = %s", asked, m.Raw)
		}
		if items, _ := root.Reports("/v1/admin/reports"); len(items) != 3 || items[0].Room != "" || items[0].MessageID != m.ID || items[0].Message.Message != "hey" || items[0].Count != 1 {
			t.Errorf("reports = %+v", items)
		}
		hook.change(says(`{"refuse": "No."}`))
		bob.Do("POST", harness.PrivatePath("ada")+"/messages", harness.Raw("x")).WantProblem(403, "refused", "")
	}
}
