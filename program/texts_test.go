package program

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// blanks show nothing in any client.
var blanks = []string{" ", "\n\n", "\u200b", "\u200d\u200d", "\u2800", "\u2028", "\u3164", "\u00a0\t", "\ufe0f", "\U000e0041"}

// On every way in, and the room is as it was.
func TestMessageThatShowsNothingIsRefused(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	said, sent := ada.post("lobby", "hi"), ada.send("bob", "psst")
	socket := ada.open(overWS, "room=lobby")
	socket.opening()
	page := ada.tutorial("/ws/chat/lobby/", ada.bearerHeader())
	page.next("user_list")
	page.next("user_join")
	head := ada.head()
	for _, text := range append(blanks, "") {
		for name, got := range map[string]answer{
			"JSON":             ada.do("POST", posting, newMessage{Message: text}),
			"raw":              ada.do("POST", posting, raw(text)),
			"with a key":       ada.do("POST", posting, raw(text), "Idempotency-Key: k1"),
			"private":          ada.do("POST", privatePath("bob")+"/messages", newMessage{Message: text}),
			"private, raw":     ada.do("POST", privatePath("bob")+"/messages", raw(text)),
			"an edit":          ada.do("PATCH", messagePath("lobby", said.ID), newMessage{Message: text}),
			"a private edit":   ada.do("PATCH", fmt.Sprint(privatePath("bob"), "/messages/", sent.ID), newMessage{Message: text}),
			"a command":        socket.call("POST", posting, newMessage{Message: text}),
			"a raw command":    socket.call("POST", posting, raw(text), "Content-Type: text/plain"),
			"an edit there":    socket.call("PATCH", messagePath("lobby", said.ID), newMessage{Message: text}),
			"a short form":     socket.ask(frameOf(t, "type", "chat_message", "message", text)),
			"a short form, pm": socket.ask(frameOf(t, "type", "private_message", "target", "bob", "message", text)),
			"the tutorial":     page.ask(frameOf(t, "message", text)),
		} {
			if got.t = t; got.status != 400 {
				t.Errorf("%s of %+q answered %d", name, text, got.status)
				continue
			}
			got.wantProblem(400, "message_empty", "message")
		}
		if text != "" { // else it is no such command
			page.ask(frameOf(t, "message", "/pm bob "+text)).wantProblem(400, "message_empty", "message")
		}
	}
	for _, none := range []string{"{}", `{"nonce":"n"}`} {
		ada.do("POST", posting, raw(none), asJSON).wantProblem(400, "message_empty", "message")
	}
	if now := ada.head(); now != head {
		t.Errorf("the log's head was %d and is %d", head, now)
	}
	// What was refused has not used up its key.
	if e := ada.do("POST", posting, raw(" hi\u200b"), "Idempotency-Key: k1").want(201).event(); e.Message != " hi\u200b" {
		t.Errorf("the message is %s", e.raw)
	}
	if got := bob.search(privatePath("ada")+"/messages", "psst", ""); len(got) != 1 {
		t.Errorf("bob has %q", got)
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

// ask sends a frame that is refused and returns the reply.
func (p *tutorialPage) ask(frame string) answer {
	p.t.Helper()
	p.say(frame)
	_, r := p.next("reply")
	return r.answer(p.t, frame)
}

func TestTextThatNamesSomethingHasNothingUnseen(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for _, text := range append(slices.Clone(blanks), "a\u202egnp.exe", "a\u200bb", "a\u2066b", "a\u200fb", "a\u061cb", "a\nb", "a\u2028b", "a\u200db", "a\u00adb") {
		ada.do("POST", "/v1/rooms", newRoom{Name: "new", Title: text}).wantProblem(400, "invalid_request", "title")
		ada.do("PATCH", roomPath("lobby"), map[string]string{"title": text}).wantProblem(400, "invalid_request", "title")
		ada.do("POST", "/v1/tokens", map[string]string{"name": text}).wantProblem(400, "invalid_request", "name")
	}
	if detail := ada.do("POST", "/v1/tokens", map[string]string{"name": "a\u202eb"}).wantProblem(400, "invalid_request", "name").Detail; !strings.Contains(detail, "direction") {
		t.Errorf("what turns the direction of writing is refused with %q", detail)
	}
	ada.do("GET", roomPath("new"), nil).want(404)
	for _, text := range []string{"می\u200cخواهم", "👩‍👩‍👧‍👦 and 🏳️‍🌈", "শ্র\u200d্যাম", "a  b"} {
		var made room
		if ada.do("PATCH", roomPath("lobby"), map[string]string{"title": text}).want(200).into(&made); made.Title != text {
			t.Errorf("the title %+q became %+q", text, made.Title)
		}
		ada.do("POST", "/v1/tokens", map[string]string{"name": text}).want(201)
	}
	ada.do("PATCH", roomPath("lobby"), map[string]string{"title": ""}).want(200)
	p.stop(t)
	admin, err := OpenAdmin(context.Background(), p.settings)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.CreateToken(t.Context(), "ada", "a\u202eb", 0, nil); err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("the command line makes a token that nobody reads right: %v", err)
	}
}

func TestNameWithNonJoinerIsANameLikeAnyOther(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	const ali, plain = "علی\u200cرضا", "علیرضا"
	c := p.signup(t, ali)
	if c.User.Username != ali {
		t.Errorf("%+q became %+q", ali, c.User.Username)
	}
	p.visitor(t).do("POST", "/v1/auth/signup", credentials{plain, "long enough"}).wantProblem(409, "username_taken", "username")
	p.visitor(t).do("POST", "/v1/auth/signup", credentials{"ali\u200creza", "long enough"}).wantProblem(400, "", "username")
	p.visitor(t).do("POST", "/v1/auth/login", credentials{ali, c.password}).want(200)
	c.enter(ali)
	if e := c.post(ali, "سلام"); e.Room != ali || e.User != ali {
		t.Errorf("the message is %s", e.raw)
	}
	bob := p.signup(t, "bob")
	if e := bob.send(ali, "hi"); e.Target != ali {
		t.Errorf("the message is %s", e.raw)
	}
	for _, q := range []string{"علی", "علی\u200c", ali} { // as it is typed
		var people struct{ Items []struct{ Username string } }
		bob.do("GET", "/v1/users?q="+url.QueryEscape(q), nil).want(200).into(&people)
		if len(people.Items) != 1 || people.Items[0].Username != ali {
			t.Errorf("%+q finds %v", q, people.Items)
		}
	}
	bob.do("PUT", roomPath("علی\u200c"), nil).wantProblem(400, "", "room")
}
