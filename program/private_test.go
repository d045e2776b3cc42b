package program

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// privatePath is where the caller's conversation with somebody is.
func privatePath(with string) string { return "/v1/private/" + url.PathEscape(with) }

// send sends a private message and returns its event.
func (c *client) send(to, text string, headers ...string) event {
	c.t.Helper()
	return c.do("POST", privatePath(to)+"/messages", raw(text), headers...).want(201).event()
}

type conversation struct {
	Username string `json:"username"`
	Unread   int    `json:"unread"`
	LastID   int64  `json:"last_id"`
}

func (c *client) conversations(query string) (items []conversation, next *int64) {
	c.t.Helper()
	var page struct {
		Items []conversation
		Next  *int64
	}
	c.do("GET", "/v1/private?"+query, nil).want(200).into(&page)
	return page.Items, page.Next
}

// A private message comes to all devices of both, under two ids that follow each other, and to nobody else.
func TestPrivateMessageReachesBothInboxes(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob, eve := p.signup(t, "ada"), p.signup(t, "bob"), p.signup(t, "eve")
	ada.enter("lobby")
	onEach(t, func(t *testing.T, over transport) {
		ada, bob, eve := ada.in(t), bob.in(t), eve.in(t)
		adas, bobs := []*stream{ada.open(over, ""), ada.open(over, "room=lobby")}, []*stream{bob.open(over, ""), bob.open(over, "")}
		eves := eve.open(over, "room=lobby")
		for _, s := range append(slices.Concat(adas, bobs), eves) {
			s.opening()
		}
		sent := ada.do("POST", privatePath("Bob")+"/messages", newMessage{"psst", "n1"}).want(201).event()
		if sent.Type != "private_message" || sent.User != "ada" || sent.Target != "bob" || sent.Message != "psst" || sent.Nonce != "n1" {
			t.Errorf("the answer is %s", sent.raw)
		}
		for _, s := range bobs {
			if got := s.must("private_message"); !bytes.Equal(got.raw, sent.raw) {
				t.Errorf("bob got %s, not %s", got.raw, sent.raw)
			}
		}
		for _, s := range adas {
			got := s.until(func(e event) bool { return e.ID != 0 })
			e := got[len(got)-1]
			if e.Type != "private_message_delivered" || e.ID != sent.ID+1 || e.MessageID != sent.ID || e.Message != "psst" || e.Target != "bob" || e.Nonce != "n1" {
				t.Errorf("ada got %s", e.raw)
			}
		}

		edited := ada.do("PATCH", fmt.Sprint(privatePath("bob"), "/messages/", sent.ID), newMessage{Message: "pssst"}).want(200).event()
		if edited.ID != sent.ID || edited.Message != "pssst" || edited.EditedAt == "" || edited.Type != "private_message" {
			t.Errorf("edited it is %s", edited.raw)
		}
		ada.do("DELETE", fmt.Sprint(privatePath("bob"), "/messages/", sent.ID), nil).want(204)
		var seen [][]byte
		for _, s := range append(adas, bobs...) {
			edit := s.must("message_edited")
			if edit.MessageID != sent.ID || edit.User != "ada" || edit.Target != "bob" || edit.Room != "" || edit.Message != "pssst" {
				t.Errorf("the edit is told as %s", edit.raw)
			}
			deletion := s.must("message_deleted")
			if deletion.MessageID != sent.ID || deletion.User != "ada" || deletion.Target != "bob" || deletion.Room != "" {
				t.Errorf("the deletion is told as %s", deletion.raw)
			}
			if seen == nil {
				seen = [][]byte{edit.raw, deletion.raw}
			}
			if !bytes.Equal(seen[0], edit.raw) || !bytes.Equal(seen[1], deletion.raw) {
				t.Errorf("one heard %s, another %s and %s", seen, edit.raw, deletion.raw)
			}
		}

		own := ada.send("ada", "note")
		for _, s := range adas {
			if got := s.must("private_message"); !bytes.Equal(got.raw, own.raw) {
				t.Errorf("to oneself comes %s, not %s", got.raw, own.raw)
			}
		}
		if next := ada.send("bob", "next"); next.ID != own.ID+1 {
			t.Errorf("a message to oneself took the ids %d to %d", own.ID, next.ID-1)
		}
		marker := ada.post("lobby", "marker "+string(over))
		for _, e := range eves.untilMessage(marker.Message) {
			if e.ID != 0 && e.Type != "chat_message" {
				t.Errorf("eve heard %s", e.raw)
			}
		}
	})
	for _, side := range []*client{ada, bob} {
		other := map[string]string{"ada": "bob", "bob": "ada"}[side.User.Username]
		var texts []string
		for _, e := range side.page(privatePath(other)+"/messages", "").items {
			texts = append(texts, e.Message)
		}
		if want := slices.Repeat([]string{"", "next"}, len(transports)); !slices.Equal(texts, want) {
			t.Errorf("%s reads %q, not %q", side.User.Username, texts, want)
		}
	}
	if got := eve.page(privatePath("ada")+"/messages", ""); len(got.items) != 0 {
		t.Errorf("eve reads %s", show(got.items))
	}
}

func TestConversationsPageLatestFirst(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	others := []*client{p.signup(t, "bob"), p.signup(t, "eve"), p.signup(t, "мария")}
	for i, c := range others {
		for range i + 1 {
			c.send("ada", "hi")
		}
	}
	last := ada.send("bob", "hello") // bob's is the latest now
	items, next := ada.conversations("limit=2")
	if len(items) != 2 || next == nil || items[0] != (conversation{"bob", 1, last.ID}) || items[1].Username != "мария" || items[1].Unread != 3 {
		t.Fatalf("the first page is %v, %v", items, next)
	}
	if items, next = ada.conversations(fmt.Sprint("limit=2&after=", *next)); len(items) != 1 || next != nil || items[0].Username != "eve" || items[0].Unread != 2 {
		t.Errorf("the second page is %v, %v", items, next)
	}
	// Reading ends what is unread, on all of the reader's streams, and never goes back.
	s := ada.open(overSSE, "")
	s.opening()
	ada.do("PUT", privatePath("мария")+"/read", map[string]int64{"id": 9007199254740991}).want(204)
	if e := s.must("message_read"); e.User != "мария" || e.Room != "" || e.MessageID == 0 {
		t.Errorf("reading is told as %s", e.raw)
	}
	ada.do("PUT", privatePath("мария")+"/read", map[string]int64{"id": 0}).want(204)
	if items, _ := ada.conversations("limit=2"); items[1].Unread != 0 {
		t.Errorf("after reading there is %v", items)
	}
	if got := ada.page(privatePath("мария")+"/messages", "limit=2"); len(got.items) != 2 || got.prev == nil || got.next != nil {
		t.Errorf("a page of a conversation is %+v", got)
	}
	if items, _ := others[0].conversations(""); len(items) != 1 || items[0].Username != "ada" || items[0].Unread != 1 {
		t.Errorf("bob has %v", items)
	}
}

func TestPrivateMessagesThatAreRefused(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	to := privatePath("bob") + "/messages"
	ada.do("POST", privatePath("nobody")+"/messages", raw("hi")).wantProblem(404, "user_not_found", "username")
	ada.do("GET", privatePath("nobody")+"/messages", nil).wantProblem(404, "user_not_found", "username")
	ada.do("POST", privatePath("a b")+"/messages", raw("hi")).wantProblem(400, "", "username")
	ada.do("POST", to, raw("")).wantProblem(400, "", "message")
	ada.do("POST", to, raw(strings.Repeat("a", 4001))).wantProblem(400, "message_too_long", "message")

	sent := ada.send("bob", "hi", "Idempotency-Key: k")
	if again := ada.do("POST", to, raw("hi"), "Idempotency-Key: k").want(200).event(); !bytes.Equal(again.raw, sent.raw) {
		t.Errorf("the retry is %s", again.raw)
	}
	ada.do("POST", to, raw("ho"), "Idempotency-Key: k").wantProblem(422, "idempotency_mismatch", "")
	at := fmt.Sprint(to, "/", sent.ID)
	bob.do("PATCH", fmt.Sprint(privatePath("ada"), "/messages/", sent.ID), newMessage{Message: "mine"}).wantProblem(403, "forbidden", "")
	bob.do("DELETE", fmt.Sprint(privatePath("ada"), "/messages/", sent.ID), nil).wantProblem(403, "forbidden", "")
	ada.do("PATCH", fmt.Sprint(to, "/", sent.ID+1), newMessage{Message: "x"}).wantProblem(404, "message_not_found", "id")
	ada.do("DELETE", fmt.Sprint(privatePath("ada"), "/messages/", sent.ID), nil).wantProblem(404, "message_not_found", "id")

	bob.do("PUT", "/v1/me/blocks/ada", nil).want(204)
	ada.do("POST", to, raw("hi")).wantProblem(403, "blocked", "")
	ada.do("PATCH", at, newMessage{Message: "by editing"}).wantProblem(403, "blocked", "")
	bob.send("ada", "I may")
	bob.do("DELETE", "/v1/me/blocks/ada", nil).want(204)
	ada.do("POST", to, raw("hi again")).want(201)
	bob.do("PUT", "/v1/me/blocks/ada", nil).want(204)
	ada.do("DELETE", at, nil).want(204) // what one wrote one may take back

	// A deleted account gets no more; what was written stays.
	bob.do("DELETE", "/v1/me", map[string]string{"current_password": bob.password}).want(204)
	ada.do("POST", to, raw("hi")).wantProblem(404, "user_not_found", "username")
	if got := ada.page(to, ""); len(got.items) != 3 {
		t.Errorf("of bob is left %s", show(got.items))
	}
}

// Whatever races with a block: what is sent behind it in the log's order does not exist.
func TestNothingSlipsPastABlock(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	for range 10 {
		answers := make(chan int, 40)
		done := make(chan struct{})
		go func() {
			inParallel(8, func(int) {
				for range 5 {
					a, err := ada.try("POST", privatePath("bob")+"/messages", raw("hi"))
					if err != nil {
						t.Error(err)
					}
					answers <- a.status
				}
			})
			close(done)
		}()
		<-answers
		bob.do("PUT", "/v1/me/blocks/ada", nil).want(204)
		at := bob.head() // everything that was accepted before is below it
		<-done
		if got := bob.page(privatePath("ada")+"/messages", fmt.Sprint("after=", at)); len(got.items) != 0 {
			t.Fatalf("behind the block came %s", show(got.items))
		}
		bob.do("DELETE", "/v1/me/blocks/ada", nil).want(204)
	}
}
