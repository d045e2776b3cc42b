package hooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

// A hook's receiver gets the same bytes in the same order as a member's stream of the room.
func TestHookSendsTheEventsOfAStream(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	to := harness.NewReceiver(t)
	h := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": to.URL})
	stream := ada.Open(harness.OverSSE, "room=lobby&since="+harness.Itoa(ada.Head()))
	bob.Enter("lobby")
	first := ada.Post("lobby", "hello <b>\u2028 \"you\" 👋")
	bob.Do("POST", "/v1/rooms/lobby/messages", map[string]any{"message": "in a thread", "thread": first.ID, "data": map[string]any{"a": []int{1}}}).Want(201)
	bob.Do("POST", "/v1/rooms/lobby/messages", map[string]any{"message": "@ada look", "reply_to": first.ID, "nonce": "n1"}).Want(201)
	ada.Do("PATCH", fmt.Sprintf("/v1/rooms/lobby/messages/%d", first.ID), map[string]string{"message": "edited"}).Want(200)
	bob.Do("PUT", fmt.Sprintf("/v1/rooms/lobby/messages/%d/reactions/%s", first.ID, "%F0%9F%91%8D"), nil).Want(204)
	ada.Do("PUT", fmt.Sprintf("/v1/rooms/lobby/messages/%d/pin", first.ID), nil).Want(204)
	bob.Do("POST", "/v1/rooms/lobby/events", map[string]any{"name": "build", "data": map[string]any{"ok": true}}).Want(201)
	bob.Do("POST", "/v1/rooms/lobby/events", map[string]any{"name": "cursor", "ephemeral": true}).Want(202)
	bob.Do("POST", "/v1/rooms/lobby/typing", nil).Want(204)
	ada.Do("PATCH", "/v1/rooms/lobby", map[string]string{"title": "Hall"}).Want(200)
	bob.Do("POST", "/v1/private/ada/messages", map[string]string{"message": "psst"}).Want(201)
	ada.Enter("elsewhere")
	ada.Post("elsewhere", "not here")
	bob.Do("DELETE", "/v1/rooms/lobby/members/bob", nil).Want(204)
	last := ada.Post("lobby", "the end")

	var shown []string
	for _, e := range stream.Until(func(e harness.Event) bool { return e.ID == last.ID }) {
		if e.Room == "lobby" && e.ID > 0 {
			shown = append(shown, string(e.Raw))
		}
	}
	var sent []string
	for _, e := range to.Events(last.ID) {
		sent = append(sent, string(e))
	}
	if !slices.Equal(sent, shown) {
		t.Errorf("delivered events:\n%s\nevents on the stream:\n%s", strings.Join(sent, "\n"), strings.Join(shown, "\n"))
	}
	for _, c := range to.Wait("a call", func(c []harness.HookCall) bool { return len(c) > 0 }) {
		c.Verify(t, h.Secret)
		if c.Hook != h.ID || c.Log == "" || len(c.Events) > 100 || c.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got %s with %v", harness.Clip(c.Body), c.Header)
		}
	}
}

// Deleted texts are scrubbed for late receivers.
func TestReplayingHookSeesNoDeletedText(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	m := ada.Post("lobby", "a secret")
	ada.Do("DELETE", fmt.Sprintf("/v1/rooms/lobby/messages/%d", m.ID), nil).Want(204)
	last := ada.Post("lobby", "the end")
	to := harness.NewReceiver(t)
	ada.CreateHook(harness.LobbyHooks, map[string]any{"url": to.URL, "since": "0"})
	var all bytes.Buffer
	for _, e := range to.Events(last.ID) {
		all.Write(e)
	}
	if bytes.Contains(all.Bytes(), []byte("a secret")) || !bytes.Contains(all.Bytes(), []byte(`"deleted":true`)) || !bytes.Contains(all.Bytes(), []byte("message_deleted")) {
		t.Errorf("replayed events: got %s, want the deletion and no deleted text", all.Bytes())
	}
}

func TestHookSendsOnlyItsTypes(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	to := harness.NewReceiver(t)
	h := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": to.URL, "events": []string{"message_edited"}, "since": "0"})
	m := ada.Post("lobby", "one")
	edit := func(text string) {
		ada.Do("PATCH", fmt.Sprintf("/v1/rooms/lobby/messages/%d", m.ID), map[string]string{"message": text}).Want(200)
	}
	edit("two")
	got := to.Events(m.ID + 1)
	if len(got) != 1 || !bytes.Contains(got[0], []byte(`"type":"message_edited"`)) {
		t.Errorf("events of the hook: got %s, want one message_edited", got)
	}
	ada.HookReaches(h.ID, m.ID+1)
	ada.Do("PATCH", harness.LobbyHooks+"/"+harness.Itoa(h.ID), map[string]any{"events": []string{}}).Want(200)
	last := ada.Post("lobby", "three")
	if got := to.Events(last.ID); len(got) != 2 {
		t.Errorf("with all event types: %s", got)
	}
	p2 := ada.Do("PATCH", harness.LobbyHooks+"/"+harness.Itoa(h.ID), map[string]any{"events": []string{"chat_mesage"}}).WantProblem(400, "invalid_request", "events")
	if !strings.Contains(p2.Detail, "chat_message") {
		t.Errorf("event types missing from the problem: %s", p2.Detail)
	}
}

// Hooks for all rooms are for admins. They see private rooms, but never private messages.
func TestHookOfAllRooms(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks, func(cfg *program.Settings) { cfg.Admin = "admin:correct horse of admin" })
	p.Logs.KeepSecret("correct horse of admin")
	admin, ada, bob := p.Admin(t), p.Signup(t, "ada"), p.Signup(t, "bob")
	to := harness.NewReceiver(t)
	ada.Do("POST", "/v1/admin/hooks", map[string]any{"url": to.URL}).WantProblem(403, "forbidden", "")
	h := admin.CreateHook("/v1/admin/hooks", map[string]any{"url": to.URL})
	ada.Do("POST", "/v1/rooms", map[string]string{"name": "den", "visibility": "private"}).Want(201)
	ada.Post("den", "in private")
	for _, c := range []*harness.Client{ada, bob} {
		c.Do("POST", "/v1/private/bob/messages", map[string]string{"message": "psst"}).Want(201)
		c.Do("POST", "/v1/private/bob/events", map[string]any{"name": "game"}).Want(201)
	}
	bob.Enter("lobby")
	last := bob.Post("lobby", "in public")
	all := to.Events(last.ID)
	var types []string
	for _, e := range all {
		var has struct{ Type, Room string }
		if err := json.Unmarshal(e, &has); err != nil {
			t.Fatal(err)
		}
		types = append(types, has.Room+" "+has.Type)
	}
	if want := []string{"den member_added", "den chat_message", "lobby member_added", "lobby chat_message"}; !slices.Equal(types, want) {
		t.Errorf("events of the hook: got %v, want %v", types, want)
	}
	for _, who := range []*harness.Client{ada, p.Visitor(t)} {
		for _, path := range []string{"", "/" + harness.Itoa(h.ID)} {
			if got := who.Do("GET", "/v1/admin/hooks"+path, nil); got.Status != 403 && got.Status != 401 {
				t.Errorf("GET /v1/admin/hooks%s: got %d, want 401 or 403", path, got.Status)
			}
		}
	}
	ada.Do("GET", "/v1/rooms/den/hooks/"+harness.Itoa(h.ID), nil).WantProblem(404, "hook_not_found", "id")
}

func TestOnlyOwnersManageHooks(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	ada.Do("POST", "/v1/rooms", map[string]string{"name": "lobby", "visibility": "private"}).Want(201)
	ada.Do("PUT", "/v1/rooms/lobby/members/bob", map[string]string{"role": "moderator"}).Want(200)
	to := harness.NewReceiver(t)
	h := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": to.URL})
	ada.Enter("other")
	at := harness.LobbyHooks + "/" + harness.Itoa(h.ID)
	calls := []struct {
		method, target string
		body           any
	}{
		{"GET", harness.LobbyHooks, nil}, {"POST", harness.LobbyHooks, map[string]any{"url": to.URL}}, {"GET", at, nil}, {"PATCH", at, map[string]any{"paused": true}},
		{"POST", at + "/replay", map[string]any{"since": "0"}}, {"POST", at + "/test", nil}, {"DELETE", at, nil},
	}
	for _, c := range calls {
		bob.Do(c.method, c.target, c.body).WantProblem(403, "forbidden", "")
		eve.Do(c.method, c.target, c.body).WantProblem(404, "room_not_found", "room")
		if c.target != harness.LobbyHooks {
			ada.Do(c.method, strings.Replace(c.target, "lobby", "other", 1), c.body).WantProblem(404, "hook_not_found", "id")
		}
	}
	if list := ada.Do("GET", harness.LobbyHooks, nil).Want(200); bytes.Contains(list.Body, []byte("whsec_")) || !bytes.Contains(list.Body, []byte(to.URL)) {
		t.Errorf("list = %s", list.Body)
	}
	if one := ada.Do("GET", at, nil).Want(200); bytes.Contains(one.Body, []byte("whsec_")) {
		t.Errorf("hook = %s", one.Body)
	}
	if len(to.Calls) != 0 {
		t.Errorf("unexpected call of the receiver: %s", to.Calls[0].Body)
	}
	ada.Do("DELETE", at, nil).Want(204)
	ada.Do("GET", at, nil).WantProblem(404, "hook_not_found", "id")
}

// Private addresses are refused as a URL, and a cursor must be one of this log.
func TestInvalidHooks(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	for _, url := range []string{"http://127.0.0.1/", "https://localhost/", "http://[::1]/", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/latest/", "http://2130706433/", "http://0x7f.1/", "ftp://example.com/", "https://a:b@example.com/", "nowhere"} {
		ada.Do("POST", harness.LobbyHooks, map[string]any{"url": url}).WantProblem(400, "invalid_request", "url")
		bob.Do("POST", harness.LobbyHooks, map[string]any{"url": url}).WantProblem(403, "forbidden", "") // and addresses are not revealed
	}
	for _, since := range []string{"", "x", "-1", "1.otherlog", "999999", "1."} {
		ada.Do("POST", harness.LobbyHooks, map[string]any{"url": "https://1.1.1.1/", "since": since}).WantProblem(400, "invalid_request", "since")
	}
	h := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": "https://1.1.1.1/"})
	at := harness.LobbyHooks + "/" + harness.Itoa(h.ID)
	ada.Do("PATCH", at, map[string]any{"url": "http://10.0.0.1/"}).WantProblem(400, "invalid_request", "url")
	ada.Do("POST", at+"/replay", map[string]any{"since": "999999"}).WantProblem(400, "invalid_request", "since")
	if got := ada.Hook(harness.LobbyHooks, h.ID); got.URL != h.URL || got.Cursor != h.Cursor {
		t.Errorf("hook after the change = %+v", got)
	}
}

func TestHooksAreBounded(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada := p.Signup(t, "ada")
	for room := range 6 {
		name := fmt.Sprintf("room%d", room)
		ada.Enter(name)
		for n := range 21 {
			got := ada.Do("POST", "/v1/rooms/"+name+"/hooks", map[string]any{"url": "http://127.0.0.1:1/"})
			if n == 20 || room == 5 {
				got.WantProblem(409, "limit_reached", "")
				break
			}
			got.Want(201)
		}
	}
}

// A paused hook stays at its cursor. It resumes there, or from the position it is given.
func TestHookPausesResumesAndReplays(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	to := harness.NewReceiver(t)
	h := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": to.URL})
	at := harness.LobbyHooks + "/" + harness.Itoa(h.ID)
	first := ada.Post("lobby", "one")
	to.Events(first.ID)
	ada.HookReaches(h.ID, first.ID)
	var now harness.Hook
	ada.Do("PATCH", at, map[string]any{"paused": true}).Want(200).Into(&now)
	if !now.Paused || now.PausedReason != "by ada" {
		t.Errorf("hook = %+v", now)
	}
	ada.Post("lobby", "two")
	last := ada.Post("lobby", "three")
	if now = ada.Hook(harness.LobbyHooks, h.ID); now.Lag != 2 {
		t.Errorf("lag = %d", now.Lag)
	}
	ada.Do("PATCH", at, map[string]any{"paused": false}).Want(200).Into(&now)
	if got := to.Events(last.ID); now.Paused || len(got) != 3 {
		t.Errorf("hook = %+v, delivered %s", now, got)
	}
	ada.HookReaches(h.ID, last.ID)
	ada.Do("POST", at+"/replay", map[string]any{"since": harness.Itoa(first.ID)}).Want(200)
	to.Wait("the replay", func(calls []harness.HookCall) bool {
		n := 0
		for _, c := range calls {
			n += len(c.Events)
		}
		return n == 5
	})
}

func TestTestCallOfAHook(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	to := harness.NewReceiver(t)
	h := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": to.URL})
	test := func() (got struct {
		OK     bool `json:"ok"`
		Status int
		Error  string
	}) {
		ada.Do("POST", harness.LobbyHooks+"/"+harness.Itoa(h.ID)+"/test", nil).Want(200).Into(&got)
		return got
	}
	if got := test(); !got.OK || got.Status != 204 || got.Error != "" {
		t.Errorf("test of the hook: got %+v, want OK with status 204", got)
	}
	c := to.Wait("the test call", func(c []harness.HookCall) bool { return len(c) == 1 })[0]
	c.Verify(t, h.Secret)
	if !c.Test || c.Hook != h.ID || len(c.Events) != 0 || c.Events == nil {
		t.Errorf("hook = %s", c.Body)
	}
	to.AnswerWith(func(w http.ResponseWriter, _ harness.HookCall) { w.WriteHeader(418) })
	if got := test(); got.OK || got.Status != 418 || !strings.Contains(got.Error, "418") {
		t.Errorf("test of a hook that answers 418: got %+v, want an error with that status", got)
	}
	to.Close()
	if got := test(); got.OK || got.Status != 0 || got.Error == "" || strings.Contains(got.Error, "127.0.0.1") {
		t.Errorf("test of an unreachable hook: got %+v, want an error without the address", got)
	}
	if now := ada.Hook(harness.LobbyHooks, h.ID); now.LastError != "" {
		t.Errorf("a test delivery counted as a failure: %+v", now)
	}
}

// A 410 ends a hook, and so does deleting its room.
func TestHookEndsOn410OrRoomDeletion(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	gone, to := harness.NewReceiver(t), harness.NewReceiver(t)
	gone.AnswerWith(func(w http.ResponseWriter, _ harness.HookCall) { w.WriteHeader(http.StatusGone) })
	ended := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": gone.URL})
	ada.CreateHook(harness.LobbyHooks, map[string]any{"url": to.URL})
	ada.Post("lobby", "one")
	harness.Eventually(t, "the hook is gone", func() bool { return ada.Do("GET", harness.LobbyHooks+"/"+harness.Itoa(ended.ID), nil).Status == 404 })
	to.Wait("the post", func(c []harness.HookCall) bool { return len(c) == 1 })
	ada.Do("DELETE", "/v1/rooms/lobby", nil).Want(204)
	ada.Enter("lobby")
	ada.Post("lobby", "in another room")
	var list struct{ Items []harness.Hook }
	if ada.Do("GET", harness.LobbyHooks, nil).Want(200).Into(&list); len(list.Items) != 0 {
		t.Errorf("the new room has %+v, want none", list.Items)
	}
	db := harness.OpenDatabase(t, p.Settings.DataDir)
	var left int
	if err := db.QueryRow(`SELECT count(*) FROM followers WHERE kind = 'hook'`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d followers are left: %v", left, err)
	}
	if len(gone.Calls) != 1 || len(to.Calls) > 1 {
		t.Errorf("got %d and %d calls", len(gone.Calls), len(to.Calls))
	}
}

// A failed batch is sent again unchanged with the same id, when the receiver says so.
func TestHookRetries(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithHooks)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	to := harness.NewReceiver(t)
	h := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": to.URL})
	tries := 0
	var began time.Time
	to.AnswerWith(func(w http.ResponseWriter, c harness.HookCall) {
		to.Mu.Lock()
		defer to.Mu.Unlock()
		switch tries++; tries {
		case 1:
			w.WriteHeader(500)
		case 2:
			w.Header().Set("Location", to.URL+"/elsewhere")
			w.WriteHeader(http.StatusFound)
		case 3:
			began = time.Now()
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(503)
		case 4:
			if waited := time.Since(began); waited < 3*time.Second {
				t.Errorf("batch redelivered after %s", waited)
			}
		}
	})
	first := ada.Post("lobby", "one")
	to.Wait("the first attempt", func(c []harness.HookCall) bool { return len(c) >= 1 })
	last := ada.Post("lobby", "two") // not in the batch that is repeated
	harness.Eventually(t, "an error is shown", func() bool {
		now := ada.Hook(harness.LobbyHooks, h.ID)
		return strings.Contains(now.LastError, "answered") && now.RetryAt != "" && now.Lag == 2
	})
	to.Events(last.ID)
	calls := to.Wait("five calls", func(c []harness.HookCall) bool { return len(c) >= 5 })
	for i, c := range calls {
		c.Verify(t, h.Secret)
		want := calls[0]
		if i == 4 {
			if ids := c.IDs(t); len(ids) != 1 || ids[0] != last.ID || c.ID == want.ID {
				t.Errorf("second batch = %s: %s", c.ID, c.Body)
			}
			continue
		}
		if c.ID != want.ID || !bytes.Equal(c.Body, want.Body) || c.IDs(t)[0] != first.ID {
			t.Errorf("attempt %d = %s: %s", i+1, c.ID, c.Body)
		}
	}
	harness.Eventually(t, "no error is shown", func() bool {
		now := ada.Hook(harness.LobbyHooks, h.ID)
		return now.LastError == "" && now.Lag == 0
	})
}
