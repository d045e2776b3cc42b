package rooms

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// blanks are texts that no client would show.
var blanks = []string{" ", "\n\n", "\u200b", "\u200d\u200d", "\u2800", "\u2028", "\u3164", "\u00a0\t", "\ufe0f", "\U000e0041"}

// Refused in every way of posting, and the room is unchanged.
func TestInvisibleMessageIsRefused(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	said, sent := ada.Post("lobby", "hi"), ada.Send("bob", "psst")
	socket := ada.Open(harness.OverWS, "room=lobby")
	socket.Opening()
	page := ada.Tutorial("/ws/chat/lobby/", ada.BearerHeader())
	page.Next("user_list")
	page.Next("user_join")
	head := ada.Head()
	for _, text := range append(blanks, "") {
		for name, got := range map[string]harness.Answer{
			"JSON":             ada.Do("POST", harness.Posting, harness.NewMessage{Message: text}),
			"raw":              ada.Do("POST", harness.Posting, harness.Raw(text)),
			"with a key":       ada.Do("POST", harness.Posting, harness.Raw(text), "Idempotency-Key: k1"),
			"private":          ada.Do("POST", harness.PrivatePath("bob")+"/messages", harness.NewMessage{Message: text}),
			"private, raw":     ada.Do("POST", harness.PrivatePath("bob")+"/messages", harness.Raw(text)),
			"an edit":          ada.Do("PATCH", harness.MessagePath("lobby", said.ID), harness.NewMessage{Message: text}),
			"a private edit":   ada.Do("PATCH", fmt.Sprint(harness.PrivatePath("bob"), "/messages/", sent.ID), harness.NewMessage{Message: text}),
			"a command":        socket.Call("POST", harness.Posting, harness.NewMessage{Message: text}),
			"a raw command":    socket.Call("POST", harness.Posting, harness.Raw(text), "Content-Type: text/plain"),
			"an edit there":    socket.Call("PATCH", harness.MessagePath("lobby", said.ID), harness.NewMessage{Message: text}),
			"a short form":     socket.Ask(frameOf(t, "type", "chat_message", "message", text)),
			"a short form, pm": socket.Ask(frameOf(t, "type", "private_message", "target", "bob", "message", text)),
			"the tutorial":     page.Ask(frameOf(t, "message", text)),
		} {
			if got.T = t; got.Status != 400 {
				t.Errorf("%s of %+q: got status %d, want 400", name, text, got.Status)
				continue
			}
			got.WantProblem(400, "message_empty", "message")
		}
		if text != "" { // otherwise it is not this command
			page.Ask(frameOf(t, "message", "/pm bob "+text)).WantProblem(400, "message_empty", "message")
		}
	}
	for _, none := range []string{"{}", `{"nonce":"n"}`} {
		ada.Do("POST", harness.Posting, harness.Raw(none), harness.AsJSON).WantProblem(400, "message_empty", "message")
	}
	if now := ada.Head(); now != head {
		t.Errorf("log head moved from %d to %d", head, now)
	}
	// A refused post does not use up its key.
	if e := ada.Do("POST", harness.Posting, harness.Raw(" hi\u200b"), "Idempotency-Key: k1").Want(201).Event(); e.Message != " hi\u200b" {
		t.Errorf("message = %s", e.Raw)
	}
	if got := bob.Search(harness.PrivatePath("ada")+"/messages", "psst", ""); len(got) != 1 {
		t.Errorf("bob finds %q", got)
	}
}

func frameOf(t *testing.T, pairs ...string) string {
	t.Helper()
	members := map[string]string{}
	for pair := range slices.Chunk(pairs, 2) {
		members[pair[0]] = pair[1]
	}
	frame, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(frame)
}

func TestLabelsRefuseInvisibleCharacters(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, text := range append(slices.Clone(blanks), "a\u202egnp.exe", "a\u200bb", "a\u2066b", "a\u200fb", "a\u061cb", "a\nb", "a\u2028b", "a\u200db", "a\u00adb") {
		ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "new", Title: text}).WantProblem(400, "invalid_request", "title")
		ada.Do("PATCH", harness.RoomPath("lobby"), map[string]string{"title": text}).WantProblem(400, "invalid_request", "title")
		ada.Do("POST", "/v1/tokens", map[string]string{"name": text}).WantProblem(400, "invalid_request", "name")
	}
	if detail := ada.Do("POST", "/v1/tokens", map[string]string{"name": "a\u202eb"}).WantProblem(400, "invalid_request", "name").Detail; !strings.Contains(detail, "direction") {
		t.Errorf("name with a direction override: detail = %q", detail)
	}
	ada.Do("GET", harness.RoomPath("new"), nil).Want(404)
	for _, text := range []string{"می\u200cخواهم", "👩‍👩‍👧‍👦 and 🏳️‍🌈", "শ্র\u200d্যাম", "a  b"} {
		var made harness.Room
		if ada.Do("PATCH", harness.RoomPath("lobby"), map[string]string{"title": text}).Want(200).Into(&made); made.Title != text {
			t.Errorf("title %+q saved as %+q", text, made.Title)
		}
		ada.Do("POST", "/v1/tokens", map[string]string{"name": text}).Want(201)
	}
	ada.Do("PATCH", harness.RoomPath("lobby"), map[string]string{"title": ""}).Want(200)
	p.Stop(t)
	admin, err := program.OpenAdmin(context.Background(), p.Settings)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.CreateToken(t.Context(), "ada", "a\u202eb", 0, nil, nil); err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("command line: token with an unreadable name: got %v, want an error", err)
	}
}

func TestNameWithNonJoinerWorksLikeAnyOther(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	const ali, plain = "علی\u200cرضا", "علیرضا"
	c := p.Signup(t, ali)
	if c.User.Username != ali {
		t.Errorf("%+q became %+q", ali, c.User.Username)
	}
	p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: plain, Password: "long enough"}).WantProblem(409, "username_taken", "username")
	p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: "ali\u200creza", Password: "long enough"}).WantProblem(400, "", "username")
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: ali, Password: c.Password}).Want(200)
	c.Enter(ali)
	if e := c.Post(ali, "سلام"); e.Room != ali || e.User != ali {
		t.Errorf("message = %s", e.Raw)
	}
	bob := p.Signup(t, "bob")
	if e := bob.Send(ali, "hi"); e.Target != ali {
		t.Errorf("message = %s", e.Raw)
	}
	for _, q := range []string{"علی", "علی\u200c", ali} { // as typed
		var people struct{ Items []struct{ Username string } }
		bob.Do("GET", "/v1/users?q="+url.QueryEscape(q), nil).Want(200).Into(&people)
		if len(people.Items) != 1 || people.Items[0].Username != ali {
			t.Errorf("%+q finds %v", q, people.Items)
		}
	}
	bob.Do("PUT", harness.RoomPath("علی\u200c"), nil).WantProblem(400, "", "room")
}
